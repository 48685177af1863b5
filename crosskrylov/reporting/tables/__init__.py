"""Tables, each made of the results of single runs."""
