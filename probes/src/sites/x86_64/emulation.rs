//! Which instructions the kernel emulates under a uprobe instead of single-stepping a copy of them.
//!
//! From `arch/x86/kernel/uprobes.c`: `branch_setup_xol_ops` (nop, `jmp`, `call rel32`, conditional jumps, none with a 66
//! prefix) and `push_setup_xol_ops` (`push` of a 64-bit register). All others take a second trap, which costs seven times
//! as much in a virtual machine.

use iced_x86::{Instruction, Mnemonic, OpKind};

use super::super::Stepping;

/// How the kernel gets past this instruction. `bytes` are the instruction's own.
pub(super) fn stepping(instruction: &Instruction, bytes: &[u8]) -> Stepping {
    let operand_size_prefix = bytes.iter().take_while(|byte| is_prefix(**byte)).any(|&byte| byte == 0x66);
    let near = instruction.op0_kind() == OpKind::NearBranch64;
    let emulated = match instruction.mnemonic() {
        // The longer nops, 0f 1f, are emulated by recent kernels only.
        Mnemonic::Nop => bytes.last() == Some(&0x90),
        Mnemonic::Call | Mnemonic::Jmp => near && !operand_size_prefix,
        Mnemonic::Push => {
            instruction.op0_kind() == OpKind::Register
                && instruction.op0_register().is_gpr64()
                && bytes.len() <= 2
        }
        _ => instruction.is_jcc_short_or_near() && !operand_size_prefix,
    };
    if emulated { Stepping::Emulated } else { Stepping::SingleStepped }
}

fn is_prefix(byte: u8) -> bool {
    matches!(byte, 0x26 | 0x2e | 0x36 | 0x3e | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3)
}

#[cfg(test)]
mod tests {
    use iced_x86::{Decoder, DecoderOptions};

    use super::*;

    fn of(bytes: &[u8]) -> Stepping {
        stepping(&Decoder::with_ip(64, bytes, 0x1000, DecoderOptions::NONE).decode(), bytes)
    }

    #[test]
    fn calls_jumps_conditional_jumps_nops_and_pushes_are_emulated() {
        let emulated: [&[u8]; 11] = [
            &[0xe8, 1, 0, 0, 0],       // call rel32
            &[0x67, 0xe8, 1, 0, 0, 0], // the linker's replacement of call *GOT
            &[0xe9, 1, 0, 0, 0],       // jmp rel32
            &[0xeb, 1],                // jmp rel8
            &[0x75, 1],                // jne rel8
            &[0x0f, 0x85, 1, 0, 0, 0], // jne rel32
            &[0x90],                   // nop
            &[0x55],                   // push %rbp
            &[0x41, 0x57],             // push %r15
            &[0x74, 0xfe],             // je to itself
            &[0x66, 0x90],             // nop of two bytes
        ];
        for bytes in emulated {
            assert_eq!(of(bytes), Stepping::Emulated, "{bytes:02x?}");
        }
    }

    #[test]
    fn everything_else_is_single_stepped() {
        let stepped: [&[u8]; 6] = [
            &[0xff, 0x15, 1, 0, 0, 0], // call *disp(%rip)
            &[0x41, 0xff, 0xd7],       // call *%r15
            &[0xc3],                   // ret
            &[0x48, 0x89, 0xdf],       // mov %rbx, %rdi
            &[0xf3, 0x0f, 0x1e, 0xfa], // endbr64
            &[0x6a, 1],                // push $1
        ];
        for bytes in stepped {
            assert_eq!(of(bytes), Stepping::SingleStepped, "{bytes:02x?}");
        }
    }
}
