"""Tables, figures and snapshots of what the other rooms measured."""
