//! Guests that misbehave in any export of any world, made of the contract itself: what its worlds
//! export is what these do, so that an export cannot be forgotten.
//!
//! Such a guest does as the clock says, which a test holds: at `MOMENT + 1 + number` it commits the
//! misdeed of that number, and else it answers.

use std::path::Path;

use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::{
    Resolve, WorldItem,
    abi::{AbiVariant, WasmType},
};

/// When all is well.
pub const MOMENT: u64 = 1_800_000_000;

/// What a guest does wrong, in the text format, and what that is called.
pub const MISDEEDS: [(&str, &str, &str); 7] = [
    ("trap", "unreachable", "trapped"),
    ("loop", "(loop $again (br $again))", "cpu-exceeded"),
    ("recurse", "(call $recurse)", "trapped"),
    (
        "take memory",
        "(loop $again (br_if $again (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable",
        "out-of-memory",
    ),
    (
        "take tables",
        "(loop $again (br_if $again (i32.ne (table.grow (ref.null func) (i32.const 1000)) (i32.const -1)))) \
         unreachable",
        "trapped",
    ),
    (
        "answer with nonsense",
        "(return (i32.const 4194296))",
        "contract-broken",
    ),
    (
        "hand over too much",
        "(return (i32.add (local.get $answer) (i32.const 64)))",
        "contract-broken",
    ),
];

/// A component of a world, and the names of its exports in their order.
pub struct Hostile {
    pub exports: Vec<String>,
    pub component: Vec<u8>,
}

impl Hostile {
    /// When this export commits this misdeed.
    pub fn moment(&self, export: &str, misdeed: usize) -> i64 {
        let place = self.exports.iter().position(|name| name == export).unwrap();
        (MOMENT as usize + 1 + place * MISDEEDS.len() + misdeed) as i64
    }

    /// A guest that answers so. `describe` and `check` are the same in all worlds.
    pub fn of_world(world: &str, proves: u8, answers: &[(&str, Answer)]) -> Self {
        let contract = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit/0.2.0");
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_path(contract).unwrap();
        let world = resolve.select_world(&[package], Some(world)).unwrap();
        let mut exports = Vec::new();
        let mut functions = String::new();
        for item in resolve.worlds[world].exports.values() {
            let WorldItem::Function(function) = item else {
                continue;
            };
            let name = function.name.clone();
            let signature = resolve.wasm_signature(AbiVariant::GuestExport, function);
            assert_eq!(
                signature.results,
                [WasmType::Pointer],
                "{name} answers by a pointer"
            );
            let parameters: String = signature.params.iter().map(parameter).collect();
            let Answer { fine, huge } = match name.as_str() {
                "describe" => description(proves),
                "check" => Answer::of(case(0), [case(1), huge()].concat()),
                name => {
                    let told = answers.iter().find(|(answered, _)| *answered == name);
                    told.unwrap_or_else(|| panic!("what does `{name}` answer?"))
                        .1
                        .clone()
                }
            };
            let first = exports.len() * MISDEEDS.len();
            let misdeeds: String = MISDEEDS
                .iter()
                .enumerate()
                .map(|(number, (_, body, _))| {
                    let number = first + number + 1;
                    format!(
                        "(if (i64.eq (local.get $moment) (i64.const {number})) (then {body}))\n"
                    )
                })
                .collect();
            let place = ANSWERS + exports.len() * ANSWER;
            functions += &format!(
                "(func (export \"{name}\") {parameters} (result i32)
                   (local $moment i64) (local $answer i32)
                   (local.set $moment (call $moment))
                   (local.set $answer (i32.const {place}))
                   {misdeeds}
                   (local.get $answer))
                 (data (i32.const {place}) \"{}\")
                 (data (i32.const {}) \"{}\")\n",
                escaped(&fine),
                place + ANSWER / 2,
                escaped(&huge),
            );
            exports.push(name);
        }
        let module = format!(
            "(module
               (import \"archstone:plugin/clock@0.2.0\" \"now\" (func $now (param i32)))
               (memory (export \"memory\") 64)
               (table 1 funcref)
               (global $free (mut i32) (i32.const 16384))
               (func $recurse (call $recurse) (call $recurse))
               (func $moment (result i64)
                 (call $now (i32.const 16))
                 (i64.sub (i64.load (i32.const 16)) (i64.const {MOMENT})))
               (func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32) (local $here i32)
                 (local.set $here (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
                 (global.set $free (i32.add (local.get $here) (local.get 3)))
                 (local.get $here))
               (data (i32.const 64) \"{}\")
               {functions}
               (data (i32.const 4194296) \"{}\"))",
            escaped(TEXTS.as_bytes()),
            escaped(&[255; 8]),
        );
        let mut module = wat::parse_str(module).unwrap();
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)
            .unwrap();
        Self {
            component: archstone_plugin_kit::componentize(&module).unwrap(),
            exports,
        }
    }
}

/// The bytes of an answer in memory, and of one with a text that is far too long.
#[derive(Clone)]
pub struct Answer {
    fine: Vec<u8>,
    huge: Vec<u8>,
}

impl Answer {
    pub fn of(fine: Vec<u8>, huge: Vec<u8>) -> Self {
        Self { fine, huge }
    }

    /// A denial, which is this case of what may be answered.
    pub fn denial(number: u32) -> Self {
        Self::of(case(number), [case(number), words(&[0]), huge()].concat())
    }
}

const ANSWERS: usize = 4096;
const ANSWER: usize = 128;
/// All texts that are handed over.
const TEXTS: &str = "hostile1{}{\"type\":\"object\"}";

/// The first bytes of a variant.
pub fn case(number: u32) -> Vec<u8> {
    words(&[number])
}

/// A text of `TEXTS`, as a pointer and a length.
pub fn text(wanted: &str) -> Vec<u8> {
    let place = 64 + TEXTS.find(wanted).unwrap() as u32;
    words(&[place, wanted.len() as u32])
}

/// A text that is in memory, and longer than the host takes.
pub fn huge() -> Vec<u8> {
    words(&[0, 3 << 20])
}

pub fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn description(proves: u8) -> Answer {
    let rest = [
        text("1"),
        text("hostile"),
        words(&[proves.into()]),
        text("{\"type\":\"object\"}"),
    ]
    .concat();
    Answer::of(
        [text("hostile"), rest.clone()].concat(),
        [huge(), rest].concat(),
    )
}

fn parameter(of: &WasmType) -> String {
    let name = match of {
        WasmType::I64 | WasmType::PointerOrI64 => "i64",
        WasmType::F32 => "f32",
        WasmType::F64 => "f64",
        WasmType::I32 | WasmType::Pointer | WasmType::Length => "i32",
    };
    format!("(param {name}) ")
}

fn escaped(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("\\{byte:02x}")).collect()
}
