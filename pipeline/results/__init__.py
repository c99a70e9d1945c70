"""Result files -> tidy rows: tables, costs, winning tickets."""
