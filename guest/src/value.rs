//! Converts JavaScript values to MessagePack and back without loss: `-0`, the order of keys and an
//! own key `__proto__` are preserved. The rules of `JSON.stringify` apply: `toJSON` is called,
//! functions and `undefined` are left out.

use rquickjs::object::Property;
use rquickjs::{Array, Ctx, Function, Object, Value};

/// The deepest nesting. Deeper values are rejected, so a cycle cannot recurse endlessly.
const DEPTH_MAX: usize = 100;
/// The encoding of `null`.
const NIL: u8 = 0xc0;

/// Why a value cannot be encoded.
pub enum Refusal {
    /// JSON has no such value. The text completes "… cannot be stored".
    Unfit(&'static str),
    /// The value is, or contains, a Promise.
    Promise,
    /// A getter or `toJSON` of the author threw. The exception is pending.
    Thrown(rquickjs::Error),
}

impl From<rquickjs::Error> for Refusal {
    fn from(error: rquickjs::Error) -> Self {
        match error {
            rquickjs::Error::Utf8(_) => Refusal::Unfit("text with an unpaired surrogate"),
            other => Refusal::Thrown(other),
        }
    }
}

/// Returns `value` as MessagePack. `undefined` and functions become nil.
pub fn encode<'js>(ctx: &Ctx<'js>, value: Value<'js>) -> Result<Vec<u8>, Refusal> {
    let value = resolved(ctx, value, "")?;
    encode_resolved(ctx, value)
}

/// Returns the options of a call as MessagePack. If a value cannot be encoded, also returns why. The option
/// that contains it is then left out.
pub fn encode_options<'js>(ctx: &Ctx<'js>, options: Value<'js>) -> (Vec<u8>, Option<Refusal>) {
    match resolved(ctx, options, "").and_then(|options| encode_each(ctx, options)) {
        Ok((options, None)) => (options, None),
        Ok((options, Some(reason))) => (options, Some(Refusal::Unfit(reason))),
        Err(refusal) => (vec![NIL], Some(refusal)),
    }
}

/// Encodes each entry of an object, and returns why the first that cannot be encoded is left out.
fn encode_each<'js>(ctx: &Ctx<'js>, options: Value<'js>) -> Result<(Vec<u8>, Option<&'static str>), Refusal> {
    let Some(object) = options.as_object().filter(|_| !options.is_function()) else {
        return Ok((encode_resolved(ctx, options)?, None));
    };
    if is_array(&options)? {
        return Ok((encode_resolved(ctx, options)?, None));
    }
    let (mut entries, mut count, mut unfit) = (Vec::new(), 0, None);
    for key in object.keys::<rquickjs::String>() {
        let before = entries.len();
        match write_entry(ctx, &mut entries, object, key?) {
            Ok(is_there) => count += u32::from(is_there),
            Err(Refusal::Unfit(reason)) => {
                entries.truncate(before);
                unfit = unfit.or(Some(reason));
            }
            Err(refusal) => return Err(refusal),
        }
    }
    let mut out = Vec::new();
    written(rmp::encode::write_map_len(&mut out, count))?;
    out.append(&mut entries);
    Ok((out, unfit))
}

/// Writes a key and its value. Returns false if JSON leaves out such a value.
fn write_entry<'js>(
    ctx: &Ctx<'js>,
    out: &mut Vec<u8>,
    object: &Object<'js>,
    key: rquickjs::String<'js>,
) -> Result<bool, Refusal> {
    let value = resolved(ctx, object.get(key.clone())?, key.clone())?;
    if value.is_undefined() || value.is_function() || value.is_symbol() {
        return Ok(false);
    }
    write_text(out, &key.to_string()?)?;
    write(ctx, out, value, 1)?;
    Ok(true)
}

fn encode_resolved<'js>(ctx: &Ctx<'js>, value: Value<'js>) -> Result<Vec<u8>, Refusal> {
    let mut out = Vec::new();
    if value.is_undefined() || value.is_function() || value.is_symbol() {
        write_nil(&mut out);
    } else {
        write(ctx, &mut out, value, 0)?;
    }
    Ok(out)
}

fn write<'js>(ctx: &Ctx<'js>, out: &mut Vec<u8>, value: Value<'js>, depth: usize) -> Result<(), Refusal> {
    if depth > DEPTH_MAX {
        return Err(Refusal::Unfit("a cycle, or nesting deeper than 100"));
    }
    if value.is_null() || value.is_undefined() {
        write_nil(out);
    } else if let Some(flag) = value.as_bool() {
        out.push(if flag { 0xc3 } else { 0xc2 });
    } else if let Some(number) = value.as_number() {
        write_number(out, number)?;
    } else if let Some(text) = value.as_string() {
        write_text(out, &text.to_string()?)?;
    } else if let Some(object) = value.as_object() {
        if is_array(&value)? {
            write_array(ctx, out, object, depth)?;
        } else {
            write_object(ctx, out, object, depth)?;
        }
    } else {
        return Err(Refusal::Unfit("a value that JSON does not have"));
    }
    Ok(())
}

/// Like `Array.isArray`, looks through proxies.
fn is_array(value: &Value<'_>) -> rquickjs::Result<bool> {
    let mut value = value.clone();
    while let Some(proxy) = value.as_proxy() {
        value = proxy.target()?.into_value();
    }
    Ok(value.is_array())
}

fn write_array<'js>(
    ctx: &Ctx<'js>,
    out: &mut Vec<u8>,
    array: &Object<'js>,
    depth: usize,
) -> Result<(), Refusal> {
    let length: f64 = array.get("length")?;
    if length > f64::from(u32::MAX) {
        return Err(Refusal::Unfit("an array that is too long"));
    }
    let length = length as u32;
    written(rmp::encode::write_array_len(out, length))?;
    for index in 0..length {
        let item = resolved(ctx, array.get(index)?, index)?;
        if item.is_function() || item.is_symbol() {
            write_nil(out);
        } else {
            write(ctx, out, item, depth + 1)?;
        }
    }
    Ok(())
}

fn write_object<'js>(
    ctx: &Ctx<'js>,
    out: &mut Vec<u8>,
    object: &Object<'js>,
    depth: usize,
) -> Result<(), Refusal> {
    let mut entries = Vec::new();
    for key in object.keys::<rquickjs::String>() {
        let key = key?;
        let value: Value = object.get(key.clone())?;
        let value = resolved(ctx, value, key.clone())?;
        if !(value.is_undefined() || value.is_function() || value.is_symbol()) {
            entries.push((key.to_string()?, value));
        }
    }
    let count = u32::try_from(entries.len()).map_err(|_| Refusal::Unfit("an object with too many keys"))?;
    written(rmp::encode::write_map_len(out, count))?;
    for (key, value) in entries {
        write_text(out, &key)?;
        write(ctx, out, value, depth + 1)?;
    }
    Ok(())
}

/// Calls `toJSON`, and takes the primitive out of a boxed value.
fn resolved<'js>(
    ctx: &Ctx<'js>,
    value: Value<'js>,
    key: impl rquickjs::IntoJs<'js>,
) -> Result<Value<'js>, Refusal> {
    let holder: Object = match value.as_object() {
        Some(object) => object.clone(),
        // JSON has no BigInt, but authors can define `BigInt.prototype.toJSON`.
        None if value.is_big_int() => ctx.globals().get::<_, Object>("BigInt")?.get("prototype")?,
        None => return Ok(value),
    };
    if value.is_promise() {
        return Err(Refusal::Promise);
    }
    let to_json: Value = holder.get("toJSON")?;
    let value = match to_json.as_function() {
        Some(to_json) => to_json.call((rquickjs::function::This(value), key))?,
        None => value,
    };
    let Some(object) = value.as_object().filter(|_| !value.is_array() && !value.is_function()) else {
        return Ok(value);
    };
    for class in ["Number", "String", "Boolean", "BigInt"] {
        let constructor: Value = ctx.globals().get(class)?;
        if object.is_instance_of(&constructor) {
            let value_of: Function = object.get("valueOf")?;
            return Ok(value_of.call((rquickjs::function::This(value.clone()),))?);
        }
    }
    Ok(value)
}

fn write_nil(out: &mut Vec<u8>) {
    out.push(NIL);
}

fn write_number(out: &mut Vec<u8>, number: f64) -> Result<(), Refusal> {
    const EXACT_MAX: f64 = 9_007_199_254_740_991.0;
    if !number.is_finite() {
        return Err(Refusal::Unfit("a number that is not finite"));
    }
    let is_integer = number.fract() == 0.0 && number.abs() <= EXACT_MAX;
    if is_integer && !(number == 0.0 && number.is_sign_negative()) {
        written(rmp::encode::write_sint(out, number as i64).map(drop))
    } else {
        written(rmp::encode::write_f64(out, number))
    }
}

fn write_text(out: &mut Vec<u8>, text: &str) -> Result<(), Refusal> {
    written(rmp::encode::write_str(out, text))
}

/// Writing to a `Vec` fails only if a length does not fit the format.
fn written<T, E>(result: Result<T, E>) -> Result<(), Refusal> {
    result.map(drop).map_err(|_| Refusal::Unfit("a value that is too large"))
}

/// Returns the JavaScript value of MessagePack from the host.
pub fn decode<'js>(ctx: &Ctx<'js>, bytes: &[u8]) -> rquickjs::Result<Value<'js>> {
    let mut rest = bytes;
    read(ctx, &mut rest)
}

fn read<'js>(ctx: &Ctx<'js>, rest: &mut &[u8]) -> rquickjs::Result<Value<'js>> {
    use rmp::Marker;
    let mut ahead = *rest;
    let marker = rmp::decode::read_marker(&mut ahead).map_err(|_| malformed())?;
    match marker {
        Marker::Null => {
            *rest = ahead;
            Ok(Value::new_null(ctx.clone()))
        }
        Marker::True | Marker::False => {
            *rest = ahead;
            Ok(Value::new_bool(ctx.clone(), marker == Marker::True))
        }
        Marker::F64 => {
            let number = rmp::decode::read_f64(rest).map_err(|_| malformed())?;
            Ok(Value::new_float(ctx.clone(), number))
        }
        Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => {
            let text = read_text(rest)?;
            Ok(rquickjs::String::from_str(ctx.clone(), text)?.into_value())
        }
        Marker::FixArray(_) | Marker::Array16 | Marker::Array32 => {
            let count = rmp::decode::read_array_len(rest).map_err(|_| malformed())?;
            let array = Array::new(ctx.clone())?;
            for index in 0..count as usize {
                array.set(index, read(ctx, rest)?)?;
            }
            Ok(array.into_value())
        }
        Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => {
            let count = rmp::decode::read_map_len(rest).map_err(|_| malformed())?;
            let object = Object::new(ctx.clone())?;
            for _ in 0..count {
                let key = read_text(rest)?;
                let value = read(ctx, rest)?;
                // Setting a property would call setters of Object.prototype, `__proto__` included.
                object.prop(key, Property::from(value).configurable().enumerable().writable())?;
            }
            Ok(object.into_value())
        }
        _ => {
            let number: i64 = rmp::decode::read_int(rest).map_err(|_| malformed())?;
            Ok(match i32::try_from(number) {
                Ok(small) => Value::new_int(ctx.clone(), small),
                Err(_) => Value::new_float(ctx.clone(), number as f64),
            })
        }
    }
}

fn read_text<'a>(rest: &mut &'a [u8]) -> rquickjs::Result<&'a str> {
    let (text, after) = rmp::decode::read_str_from_slice(*rest).map_err(|_| malformed())?;
    *rest = after;
    Ok(text)
}

fn malformed() -> rquickjs::Error {
    rquickjs::Error::new_from_js("bytes of the host", "value")
}
