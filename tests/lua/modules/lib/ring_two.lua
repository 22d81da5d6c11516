return require("ring_one")
