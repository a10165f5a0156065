//! Printing what a command results in.

/// Prints a part of a command's result; as `print!`.
macro_rules! out {
    ($($part:tt)*) => { sluice_kit::terminal::print(format_args!($($part)*)) };
}

/// Prints a line of a command's result; as `println!`.
macro_rules! outln {
    ($($part:tt)*) => { sluice_kit::terminal::print(format_args!("{}\n", format_args!($($part)*))) };
}

pub(crate) use {out, outln};
