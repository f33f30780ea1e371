//! The hash of the plan layout: two builds have the same hash if they read plans alike.

/// The parameters of 64-bit FNV-1a, which a const fn computes quickly.
const START: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0100_0000_01b3;

pub const fn start() -> u64 {
    START
}

/// Returns the hash extended by a text and a separator.
pub const fn with(mut hash: u64, text: &str) -> u64 {
    let bytes = text.as_bytes();
    let mut index = 0;
    while index < bytes.len() {
        hash = (hash ^ bytes[index] as u64).wrapping_mul(PRIME);
        index += 1;
    }
    (hash ^ 0xff).wrapping_mul(PRIME)
}

/// Computes the hash of the definitions in `steps!`: their names and order, and the names, kinds, layouts and order of
/// the fields in a plan. The words, and fields that only the planner knows, are excluded.
macro_rules! layout {
    ($(
        $(#[$doc:meta])* $name:ident $(($only:ident: $only_kind:ty))?
        $({ $($field:ident: $kind:ty),* } $notes:tt)? [$($shows:tt)*] $words:tt;
    )*) => {{
        use $crate::fields::Field;
        use $crate::layout::{start, with};
        let mut hash = start();
        $(
            hash = with(hash, stringify!($name));
            $(hash = with(with(with(hash, stringify!($only)), stringify!($only_kind)), <$only_kind as Field>::LAYOUT);)?
            $($(hash = with(with(with(hash, stringify!($field)), stringify!($kind)), <$kind as Field>::LAYOUT);)*)?
            hash = with(hash, ";");
        )*
        hash
    }};
}

/// Defines a struct of the wire format, and its fields as a text for the hash.
macro_rules! wire_struct {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$field_meta:meta])* pub $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug)]
        pub struct $name { $($(#[$field_meta])* pub $field: $type,)* }

        impl $name {
            pub(crate) const LAYOUT: &str = stringify!($name { $($field: $type,)* });
        }
    };
}

/// Defines constants of the wire format, and all of them as a text for the hash.
macro_rules! wire_constants {
    ($all:ident: $type:ty; $($(#[$meta:meta])* $name:ident = $value:literal;)*) => {
        $($(#[$meta])* pub const $name: $type = $value;)*
        pub(crate) const $all: &str = stringify!($($name = $value;)*);
    };
}

pub(crate) use {layout, wire_constants, wire_struct};

#[cfg(test)]
mod tests {
    use crate::fields::*;
    use crate::spelled_out;

    const BASE: u64 = spelled_out! { layout:
        /// Some step.
        One { first: u64, second: Text; note: Entry } shows(key = first) => "doing {first}";
        Two(flags: u32) => "two";
        Three => "three";
    };

    #[test]
    fn every_change_of_the_layout_changes_the_hash() {
        let changed = [
            spelled_out! { layout: One { first: u64, second: Text } => ""; Two(flags: u32) => ""; },
            spelled_out! { layout: One { first: u64, second: Text } => ""; Three => ""; Two(flags: u32) => ""; },
            spelled_out! { layout: Uno { first: u64, second: Text } => ""; Two(flags: u32) => ""; Three => ""; },
            spelled_out! { layout: One { other: u64, second: Text } => ""; Two(flags: u32) => ""; Three => ""; },
            spelled_out! { layout: One { first: u32, second: Text } => ""; Two(flags: u32) => ""; Three => ""; },
            spelled_out! { layout: One { second: Text, first: u64 } => ""; Two(flags: u32) => ""; Three => ""; },
            spelled_out! { layout: One { first: u64, second: Text, third: u64 } => ""; Two(flags: u32) => ""; Three => ""; },
            spelled_out! { layout: One { first: u64, second: Text } => ""; Two(flags: u32) => ""; Three => ""; Four => ""; },
        ];
        for (index, hash) in changed.iter().enumerate() {
            assert!(*hash != BASE && !changed[..index].contains(hash), "change {index}");
        }
    }

    #[test]
    fn words_and_notes_are_not_part_of_the_layout() {
        let same = spelled_out! { layout:
            One { first: u64, second: Text } => "other words";
            /// Documented.
            Two(flags: u32) shows(x = flags) => "{flags}";
            Three => "three";
        };
        assert_eq!(same, BASE);
    }

    #[test]
    fn the_layout_of_a_kind_affects_the_hash() {
        struct Narrow;
        struct Wide;
        macro_rules! kind {
            ($name:ident, $layout:literal) => {
                impl Field for $name {
                    type View = u64;
                    const LAYOUT: &str = $layout;
                    fn read(words: &mut Words) -> crate::sys::Result<u64> {
                        words.next()
                    }
                }
            };
        }
        kind!(Narrow, "one");
        kind!(Wide, "one two");
        let narrow = {
            type Kind = Narrow;
            spelled_out! { layout: Step(field: Kind) => ""; }
        };
        let wide = {
            type Kind = Wide;
            spelled_out! { layout: Step(field: Kind) => ""; }
        };
        assert_ne!(narrow, wide);
    }
}
