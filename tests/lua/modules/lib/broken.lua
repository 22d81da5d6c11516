error("it is broken")
