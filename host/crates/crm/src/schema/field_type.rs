//! The types with which a field can be declared.

use serde::Deserialize;

macro_rules! field_types {
    ($($variant:ident $name:literal,)*) => {
        /// The declared type of a field. The console uses it; scripts may write any value.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
        pub enum FieldType {
            $(
                #[doc = concat!("`", $name, "`")]
                #[serde(rename = $name)]
                $variant,
            )*
        }

        impl FieldType {
            /// The name in `crm.toml`.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// Returns the type with this name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

field_types! {
    Text "text",
    Textarea "textarea",
    RichText "rich_text",
    Wysiwyg "wysiwyg",
    Email "email",
    Phone "phone",
    Tel "tel",
    Url "url",
    Number "number",
    Integer "integer",
    Decimal "decimal",
    Currency "currency",
    Date "date",
    Datetime "datetime",
    Time "time",
    Boolean "boolean",
    Checkbox "checkbox",
    Select "select",
    Multiselect "multiselect",
    Radio "radio",
    Color "color",
    Image "image",
    File "file",
    Json "json",
    Reference "reference",
    MultiReference "multi_reference",
}
