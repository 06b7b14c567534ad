//! The macro that declares structs as classes.

use super::Key;
use crate::value::PrimaryKey;

/// Declares structs, and the classes that they are.
///
/// The class has the name of the struct and its properties have those of the fields, unless `as "..."` gives them
/// another one. The first field is the `#[primary_key]`, except in a struct that is `#[embedded]`; a struct that is
/// `#[asymmetric]` only travels to the server. All other attributes stay, those of serde included. Which types
/// fields can have is told by the module [`object`](mod@crate::object).
///
/// ```
/// use bailiwick_client::object;
/// use bailiwick_client::object::Link;
/// use bailiwick_client::schema::Schema;
/// use bailiwick_client::value::{ObjectId, Timestamp};
///
/// object! {
///     /// Something in stock.
///     #[derive(Clone, Debug, PartialEq)]
///     pub struct Item {
///         #[primary_key]
///         pub _id: ObjectId,
///         pub name: String,
///         pub quantity: i64,
///         pub tags: Vec<String>,
///         pub last_count as "lastCount": Option<Timestamp>,
///         pub supplier: Option<Link<Supplier>>,
///         pub place: Option<Place>,
///     }
///
///     #[derive(Clone, Debug, PartialEq)]
///     pub struct Supplier as "Company" {
///         #[primary_key]
///         pub _id: String,
///     }
///
///     #[embedded]
///     #[derive(Clone, Debug, PartialEq)]
///     pub struct Place {
///         pub aisle: i32,
///         pub shelf: i32,
///     }
/// }
///
/// let schema = Schema::new().with::<Item>().with::<Supplier>().with::<Place>();
/// schema.validate()?;
/// # Ok::<(), bailiwick_client::schema::SchemaError>(())
/// ```
///
/// The crate must be known as `bailiwick_client` where the macro is used.
#[macro_export]
macro_rules! object {
    () => {};

    // The attributes of a struct, one by one: the function that makes the class, the attributes that stay, what is
    // left.
    (@struct $_kind:ident [$($meta:tt)*] #[embedded] $($rest:tt)*) => {
        $crate::object! { @struct embedded [$($meta)*] $($rest)* }
    };
    (@struct $_kind:ident [$($meta:tt)*] #[asymmetric] $($rest:tt)*) => {
        $crate::object! { @struct asymmetric [$($meta)*] $($rest)* }
    };
    (@struct $kind:ident [$($meta:tt)*] #[$other:meta] $($rest:tt)*) => {
        $crate::object! { @struct $kind [$($meta)* #[$other]] $($rest)* }
    };
    (@struct embedded [$($meta:tt)*]
        $vis:vis struct $Struct:ident $(as $class:literal)? {
            $($(#[$field_meta:meta])* $field_vis:vis $field:ident $(as $name:literal)? : $Type:ty),*
            $(,)?
        }
        $($rest:tt)*
    ) => {
        $($meta)*
        #[derive($crate::serde::Serialize, $crate::serde::Deserialize)]
        #[serde(crate = "::bailiwick_client::serde")]
        $vis struct $Struct {
            $($(#[$field_meta])* $(#[serde(rename = $name)])? $field_vis $field: $Type,)*
        }

        impl $crate::object::Declared for $Struct {
            const CLASS: &'static str =
                $crate::object::name(&[$($class,)? ::core::stringify!($Struct)]);

            fn class() -> $crate::schema::Class {
                let class = $crate::schema::Class::embedded(Self::CLASS);
                $(let class = class.field::<$Type>(
                    $crate::object::name(&[$($name,)? ::core::stringify!($field)]),
                );)*
                class
            }
        }

        impl $crate::object::Embedded for $Struct {}

        impl $crate::object::Element for $Struct {
            const KIND: $crate::object::Kind = $crate::object::Kind::Reference;

            fn property_type() -> $crate::schema::PropertyType {
                $crate::schema::PropertyType::Embedded(
                    <Self as $crate::object::Declared>::CLASS.into(),
                )
            }
        }

        $crate::object! { $($rest)* }
    };
    (@struct $kind:ident $meta:tt
        $vis:vis struct $Struct:ident $(as $class:literal)? { $($fields:tt)* }
        $($rest:tt)*
    ) => {
        $crate::object! { @key [$kind $meta [$vis] $Struct [$($class)?]] [] $($fields)* }
        $crate::object! { $($rest)* }
    };

    // The attributes of the first field, one by one: the struct, the attributes that stay, what is left.
    (@key $struct:tt $meta:tt #[primary_key] $($rest:tt)*) => {
        $crate::object! { @fields $struct $meta $($rest)* }
    };
    (@key $struct:tt [$($meta:tt)*] #[$other:meta] $($rest:tt)*) => {
        $crate::object! { @key $struct [$($meta)* #[$other]] $($rest)* }
    };
    (@key $($rest:tt)*) => {
        ::core::compile_error! {
            "the first field is the primary key, and says so: #[primary_key]; or the struct is #[embedded]"
        }
    };

    // The first field may still have attributes, after the one that makes it the primary key.
    (@fields $struct:tt [$($meta:tt)*] #[$other:meta] $($rest:tt)*) => {
        $crate::object! { @fields $struct [$($meta)* #[$other]] $($rest)* }
    };
    (@fields [$kind:ident [$($meta:tt)*] [$vis:vis] $Struct:ident [$($class:literal)?]] [$($key_meta:tt)*]
        $key_vis:vis $key:ident $(as $key_name:literal)? : $Key:ty
        $(, $(#[$field_meta:meta])* $field_vis:vis $field:ident $(as $name:literal)? : $Type:ty)*
        $(,)?
    ) => {
        $($meta)*
        #[derive($crate::serde::Serialize, $crate::serde::Deserialize)]
        #[serde(crate = "::bailiwick_client::serde")]
        $vis struct $Struct {
            $($key_meta)* $(#[serde(rename = $key_name)])? $key_vis $key: $Key,
            $($(#[$field_meta])* $(#[serde(rename = $name)])? $field_vis $field: $Type,)*
        }

        impl $crate::object::Declared for $Struct {
            const CLASS: &'static str =
                $crate::object::name(&[$($class,)? ::core::stringify!($Struct)]);

            fn class() -> $crate::schema::Class {
                let class = $crate::schema::Class::$kind(Self::CLASS).key_field::<$Key>(
                    $crate::object::name(&[$($key_name,)? ::core::stringify!($key)]),
                );
                $(let class = class.field::<$Type>(
                    $crate::object::name(&[$($name,)? ::core::stringify!($field)]),
                );)*
                class
            }
        }

        impl $crate::object::Object for $Struct {
            fn key(&self) -> $crate::value::PrimaryKey {
                $crate::object::primary_key(&self.$key)
            }
        }
    };

    ($($structs:tt)*) => {
        $crate::object! { @struct new [] $($structs)* }
    };
}

/// The name that was given, or else the identifier.
pub const fn name(names: &[&'static str]) -> &'static str {
    let name = names[0];
    match name.as_bytes() {
        [b'r', b'#', ..] => name.split_at(2).1,
        _ => name,
    }
}

/// The key that a field is.
pub fn primary_key<K: Key>(key: &K) -> PrimaryKey {
    key.clone().into()
}
