//! Limits on what is compiled. Bytecode can be anybody's, so that the time, the memory and the output that it costs
//! must not depend on what it says. Functions beyond a limit are left to the interpreter.

/// Compiled functions of a page.
pub(crate) const FUNCTIONS_MAX: usize = 1_000;
/// WebAssembly code of a function.
pub(crate) const FUNCTION_CODE_BYTES_MAX: usize = 64 * 1024;
/// WebAssembly code of the functions of a page, together.
pub(crate) const PAGE_CODE_BYTES_MAX: usize = 256 * 1024;
/// Exits and blocks of a function, multiplied by its variables. Machine code moves the variables around at each of
/// them, which takes about 13 bytes each: without this limit 64 KB of WebAssembly became 5 MB of machine code.
pub(crate) const FUNCTION_MOVES_MAX: usize = 64 * 1024;
/// The same of the functions of a page, together.
pub(crate) const PAGE_MOVES_MAX: usize = 128 * 1024;
/// Bytecode of a function.
pub(crate) const BYTECODE_BYTES_MAX: usize = 16 * 1024;
/// Arguments of a function: they are parameters of the WebAssembly function.
pub(crate) const ARGUMENTS_MAX: u32 = 64;
/// Variables of a function.
pub(crate) const VARIABLES_MAX: u32 = 512;
/// The operand stack of a function.
pub(crate) const STACK_MAX: u32 = 256;
/// Captured variables of a function, and variables of outer functions that it uses.
pub(crate) const VAR_REFS_MAX: u32 = 1_024;
/// Basic blocks of a function.
pub(crate) const BLOCKS_MAX: usize = 400;
/// WebAssembly's blocks and loops in each other.
pub(crate) const NESTING_MAX: usize = 250;
/// WebAssembly's variables of a function.
pub(crate) const LOCALS_MAX: u32 = 1_200;
/// Functions, arrays and modules of a unit of bytecode in each other.
pub(crate) const DEPTH_MAX: u32 = 60;
/// Steps to compile a function: about the bytes that are written, also those that are thrown away.
const FUNCTION_WORK_MAX: usize = 4_000_000;
/// Steps to compile a page.
const PAGE_WORK_MAX: usize = 20_000_000;
/// Steps that each function takes, however small it is.
const FUNCTION_WORK_MIN: usize = 1_000;

/// The work that may still be done for a page.
#[derive(Debug)]
pub(crate) struct Work {
    page: usize,
    function: usize,
}

impl Work {
    pub(crate) fn new() -> Self {
        Self { page: PAGE_WORK_MAX, function: 0 }
    }

    /// The next function begins. `None` if the page had too many steps.
    pub(crate) fn begin_function(&mut self) -> Option<()> {
        self.function = FUNCTION_WORK_MAX;
        self.spend(FUNCTION_WORK_MIN)
    }

    /// Counts steps. `None` if there were too many.
    pub(crate) fn spend(&mut self, steps: usize) -> Option<()> {
        self.page = self.page.saturating_sub(steps);
        self.function = self.function.saturating_sub(steps);
        (self.page > 0 && self.function > 0).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_cannot_use_up_the_work_of_the_page() {
        let mut work = Work::new();
        assert!(work.begin_function().is_some());
        assert!(work.spend(FUNCTION_WORK_MAX - FUNCTION_WORK_MIN - 1).is_some());
        assert!(work.spend(1).is_none());
        assert!(work.begin_function().is_some());
        assert!(work.spend(1).is_some());
    }

    #[test]
    fn many_functions_together_reach_the_limit_of_the_page() {
        let mut work = Work::new();
        let large = (0..100).take_while(|_| {
            work.begin_function()
                .and_then(|()| work.spend(FUNCTION_WORK_MAX - FUNCTION_WORK_MIN - 1))
                .is_some()
        });
        assert_eq!(large.count(), PAGE_WORK_MAX / FUNCTION_WORK_MAX);
        let mut work = Work::new();
        let small = (0..1_000_000).take_while(|_| work.begin_function().is_some());
        assert_eq!(small.count(), PAGE_WORK_MAX / FUNCTION_WORK_MIN - 1);
    }
}
