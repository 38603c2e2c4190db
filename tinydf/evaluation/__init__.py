"""How good a network is: prepared faces -> scores -> figures, tables, plots and a page."""
