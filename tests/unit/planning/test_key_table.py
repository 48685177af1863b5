"""The table of configuration keys, as it is written from a schema."""

from crosskrylov.planning.key_table import key_table

SCHEMA = {
    "required": ["image_sets"],
    "properties": {
        "image_sets": {
            "type": "object",
            "description": "image sets by name",
            "additionalProperties": {
                "type": "object",
                "required": ["source"],
                "properties": {
                    "source": {"enum": ["photos", "folder"], "description": "origin; a | b"},
                    "size": {"type": "integer", "minimum": 4, "default": 32},
                },
            },
        },
        "march": {
            "type": "object",
            "properties": {"tolerance": {"type": "number", "default": 1e-8}},
        },
    },
}


def test_every_key_has_a_row_with_what_it_may_hold_and_its_default():
    rows = [line for line in key_table(SCHEMA).splitlines() if line.startswith("| `")]
    assert rows == [
        "| `image_sets.<name>.source` | one of photos, folder | origin; a \\| b | required |",
        "| `image_sets.<name>.size` | a whole number at least 4 |  | `32` |",
        "| `march.tolerance` | a finite number |  | `1.0e-08` |",
    ]


def test_sections_are_in_the_order_of_the_schema():
    headings = [line for line in key_table(SCHEMA).splitlines() if line.startswith("## ")]
    assert headings == ["## image_sets", "## march"]
