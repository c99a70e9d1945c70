"""Look at an experiment: status, forecast of time, verification, export of tickets."""
