// The version of this program, as `roost --version` prints it.

let productVersion = "0.1.0"
