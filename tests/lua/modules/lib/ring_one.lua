return { other = require("ring_two") }
