//! The thin binary: parse the command line, call the library, give the exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    gatehouse::cli::main()
}
