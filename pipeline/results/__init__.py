"""Results of trainings as tables, with their costs and the test for winning tickets."""
