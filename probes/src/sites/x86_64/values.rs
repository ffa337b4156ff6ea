//! What registers and memory hold, in terms of what they held earlier.
//!
//! The finder asks one question: is the address given to a call at a fixed distance from an address stored to a moment
//! before? Compilers compute both from a common base, but need not use one register for it: the base may be spilled,
//! copied, or an absolute address. So both are rewritten backwards, instruction by instruction, until they have a base in
//! common.

use iced_x86::{Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register};

/// What a value is counted from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Base {
    /// Nothing: the offset is the value.
    Nothing,
    /// What this 64-bit register holds here.
    Register(Register),
    /// What memory at this address holds here.
    Memory(Box<Value>),
    /// Whatever the instruction at this address leaves in this register: no need to know more, and equal only to itself.
    Result(u64, Register),
}

/// A base plus an offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Value {
    /// What the offset is counted from.
    pub(super) base: Base,
    /// Bytes.
    pub(super) offset: i64,
}

/// Loads within loads beyond which a value is not followed.
const MAX_DEPTH: u32 = 6;

impl Value {
    /// A register as it is.
    pub(super) fn register(register: Register) -> Value {
        Value { base: Base::Register(register), offset: 0 }
    }

    /// A constant, or an address known before relocation.
    pub(super) fn constant(value: i64) -> Value {
        Value { base: Base::Nothing, offset: value }
    }

    fn memory(address: Value) -> Value {
        Value { base: Base::Memory(Box::new(address)), offset: 0 }
    }

    fn plus(mut self, offset: i64) -> Value {
        self.offset = self.offset.wrapping_add(offset);
        self
    }

    /// The constant that this is.
    pub(super) fn as_constant(&self) -> Option<i64> {
        (self.base == Base::Nothing).then_some(self.offset)
    }

    /// How far this is above the other, if both have one base.
    pub(super) fn above(&self, other: &Value) -> Option<i64> {
        (self.base == other.base).then(|| self.offset.wrapping_sub(other.offset))
    }

    fn depth(&self) -> u32 {
        match &self.base {
            Base::Memory(address) => 1 + address.depth(),
            _ => 0,
        }
    }

    /// This value, which holds after an instruction, in terms of what held before it.
    pub(super) fn before(&self, effect: &Effect) -> Value {
        match &self.base {
            Base::Nothing | Base::Result(..) => self.clone(),
            Base::Register(register) => match effect.writes.iter().find(|(written, _)| written == register) {
                Some((_, value)) if value.depth() <= MAX_DEPTH => value.clone().plus(self.offset),
                Some((register, _)) => {
                    Value { base: Base::Result(effect.ip, *register), offset: self.offset }
                }
                None => self.clone(),
            },
            Base::Memory(address) => {
                let address = address.before(effect);
                match &effect.store {
                    // Stores elsewhere are taken to leave this alone: spilled registers have no other address.
                    Some(store) if store.address == address => store.value.clone().plus(self.offset),
                    _ => Value::memory(address).plus(self.offset),
                }
            }
        }
    }
}

/// A store to memory, in terms of what held before the instruction.
#[derive(Debug, Clone)]
pub(super) struct Store {
    /// Where.
    pub(super) address: Value,
    /// What.
    pub(super) value: Value,
    /// How many bytes.
    pub(super) size: usize,
}

/// What one instruction does, in terms of what held before it.
#[derive(Debug, Default)]
pub(super) struct Effect {
    ip: u64,
    /// 64-bit registers and their new contents.
    writes: Vec<(Register, Value)>,
    /// What it stores.
    pub(super) store: Option<Store>,
    /// What it reads from memory: address and bytes.
    pub(super) load: Option<(Value, usize)>,
}

/// Registers that a call does not preserve (System V ABI).
const CALLER_SAVED: [Register; 9] = [
    Register::RAX,
    Register::RCX,
    Register::RDX,
    Register::RSI,
    Register::RDI,
    Register::R8,
    Register::R9,
    Register::R10,
    Register::R11,
];

/// Registers that a call preserves and that the kernel's trace events can fetch, with the names they have there.
pub(super) const CALLEE_SAVED: [(Register, &str); 6] = [
    (Register::RBX, "bx"),
    (Register::RBP, "bp"),
    (Register::R12, "r12"),
    (Register::R13, "r13"),
    (Register::R14, "r14"),
    (Register::R15, "r15"),
];

impl Effect {
    /// What this instruction does.
    pub(super) fn of(instruction: &Instruction, factory: &mut InstructionInfoFactory) -> Effect {
        let mut effect = Effect { ip: instruction.ip(), ..Effect::default() };
        if is_call(instruction) {
            effect.writes.extend(CALLER_SAVED.map(|register| (register, effect.result(register))));
            // Without inlining, as in a debug build, the store is made by a function: store(&gil->locked, 0).
            let (address, value) = (Value::register(Register::RDI), Value::register(Register::RSI));
            effect.store = Some(Store { address, value, size: 4 });
            return effect;
        }
        let accessed =
            (0..instruction.op_count()).any(|operand| instruction.op_kind(operand) == OpKind::Memory);
        let address = if accessed { memory_address(instruction) } else { None };
        let size = instruction.memory_size().size();
        let info = factory.info(instruction);
        for used in info.used_registers() {
            let writes = matches!(
                used.access(),
                OpAccess::Write | OpAccess::ReadWrite | OpAccess::CondWrite | OpAccess::ReadCondWrite
            );
            let register = used.register().full_register();
            if writes && register.is_gpr64() && effect.writes.iter().all(|(written, _)| *written != register)
            {
                effect.writes.push((register, effect.result(register)));
            }
        }
        if let Some(address) = &address
            && info
                .used_memory()
                .iter()
                .any(|memory| !matches!(memory.access(), OpAccess::Write | OpAccess::NoMemAccess))
        {
            effect.load = Some((address.clone(), size));
        }
        effect.refine(instruction, address, size);
        effect
    }

    /// The 64-bit registers that change.
    pub(super) fn written(&self) -> impl Iterator<Item = Register> + '_ {
        self.writes.iter().map(|(register, _)| *register)
    }

    fn result(&self, register: Register) -> Value {
        Value { base: Base::Result(self.ip, register), offset: 0 }
    }

    fn set(&mut self, register: Register, value: Value) {
        let register = register.full_register();
        self.writes.retain(|(written, _)| *written != register);
        self.writes.push((register, value));
    }

    /// Say more of the instructions that compilers move and add with. Results of 32 bits count as whole: what is compared
    /// with them are the constants 0 and 1 and addresses below 4 GiB.
    fn refine(&mut self, instruction: &Instruction, address: Option<Value>, size: usize) {
        let register = |operand: u32| {
            let is_register = instruction.op_kind(operand) == OpKind::Register;
            let register = instruction.op_register(operand);
            (is_register && (register.is_gpr32() || register.is_gpr64())).then_some(register)
        };
        let value = |operand: u32| -> Option<Value> {
            match instruction.op_kind(operand) {
                OpKind::Register => {
                    register(operand).map(|register| Value::register(register.full_register()))
                }
                OpKind::Memory if size >= 4 => address.clone().map(Value::memory),
                OpKind::Memory => None,
                _ => instruction.try_immediate(operand).ok().map(|value| Value::constant(value as i64)),
            }
        };
        let pushed = || Value::register(Register::RSP).plus(-8);
        match instruction.mnemonic() {
            Mnemonic::Mov | Mnemonic::Xchg => match (register(0), value(1)) {
                (Some(to), Some(new)) => {
                    if let (Mnemonic::Xchg, Some(other), Some(old)) =
                        (instruction.mnemonic(), register(1), value(0))
                    {
                        self.set(other, old);
                    }
                    self.set(to, new);
                }
                (None, Some(value)) if instruction.op0_kind() == OpKind::Memory => {
                    self.store = address.map(|address| Store { address, value, size });
                }
                _ => {}
            },
            Mnemonic::Lea => {
                if let (Some(to), Some(address)) = (register(0), address) {
                    self.set(to, address);
                }
            }
            Mnemonic::Add | Mnemonic::Sub => {
                if let (Some(to), Some(Some(amount))) =
                    (register(0), value(1).map(|value| value.as_constant()))
                {
                    let amount =
                        if instruction.mnemonic() == Mnemonic::Sub { amount.wrapping_neg() } else { amount };
                    self.set(to, Value::register(to.full_register()).plus(amount));
                }
                if let (Mnemonic::Sub, Some(to), true) = (
                    instruction.mnemonic(),
                    register(0),
                    instruction.op0_register() == instruction.op1_register(),
                ) {
                    self.set(to, Value::constant(0));
                }
            }
            Mnemonic::Xor => {
                if let (Some(to), true) =
                    (register(0), instruction.op0_register() == instruction.op1_register())
                {
                    self.set(to, Value::constant(0));
                }
            }
            // Clearing with a mask is how gcc writes 0 when it optimises for size.
            Mnemonic::And if instruction.op0_kind() == OpKind::Memory => {
                let zero = value(1).filter(|mask| mask.as_constant() == Some(0));
                self.store = address.zip(zero).map(|(address, value)| Store { address, value, size });
            }
            Mnemonic::Push => {
                self.set(Register::RSP, pushed());
                let value = value(0).unwrap_or_else(|| self.result(Register::RSP));
                self.store = Some(Store { address: pushed(), value, size: 8 });
            }
            Mnemonic::Pop => {
                self.set(Register::RSP, Value::register(Register::RSP).plus(8));
                if let Some(to) = register(0) {
                    self.set(to, Value::memory(Value::register(Register::RSP)));
                }
            }
            Mnemonic::Leave => {
                self.set(Register::RSP, Value::register(Register::RBP).plus(8));
                self.set(Register::RBP, Value::memory(Value::register(Register::RBP)));
            }
            _ => {}
        }
    }
}

/// Whether this is a call.
pub(super) fn is_call(instruction: &Instruction) -> bool {
    instruction.mnemonic() == Mnemonic::Call
}

/// The address that a memory operand names, where it is a base and an offset.
fn memory_address(instruction: &Instruction) -> Option<Value> {
    if matches!(instruction.memory_segment(), Register::FS | Register::GS) {
        return None;
    }
    if instruction.is_ip_rel_memory_operand() {
        return Some(Value::constant(instruction.ip_rel_memory_address() as i64));
    }
    let offset = instruction.memory_displacement64() as i64;
    match (instruction.memory_base(), instruction.memory_index()) {
        (Register::None, Register::None) => Some(Value::constant(offset)),
        (base, Register::None) if base.is_gpr64() => Some(Value::register(base).plus(offset)),
        _ => None,
    }
}
