//! Tests of the format.

use serde_json::json;

use super::*;
use crate::{Entry, EntryId};

fn kind(key: &str) -> Option<FieldType> {
    match key {
        "n" | "n2" => Some(FieldType::Number),
        "flag" => Some(FieldType::Boolean),
        "j" | "j2" => Some(FieldType::Json),
        _ => None,
    }
}

fn columns(names: &str) -> Columns {
    let mut reader = Reader::new(names.as_bytes());
    Columns::read(reader.record().unwrap(), kind).unwrap()
}

/// The rows of a file, or the first mistake.
fn rows(text: &str) -> Result<Vec<Row>, String> {
    let (names, _) = text.split_once('\n').unwrap();
    let columns = columns(names);
    let mut reader = Reader::new(text.as_bytes());
    reader.record().unwrap();
    let mut rows = Vec::new();
    loop {
        match reader.record().map_err(|error| error.to_string())? {
            Some(cells) => rows.push(columns.row(&cells).map_err(|error| error.to_string())?),
            None => return Ok(rows),
        }
    }
}

#[test]
fn reads_what_it_writes() {
    let texts = [
        "=1+1", "+1", "-1", "@x", "\tx", "\rx", "'", "'=x", "a'b", " x ", "a,b", "\"", "a\r\nb", "é🙂\0", "5",
    ];
    let values: Vec<_> = texts.iter().enumerate().map(|(n, text)| (format!("t{n}"), json!(text))).collect();
    let others = [("flag", json!(false)), ("j", json!({"a": [1, "x"]})), ("n", json!(-0.5))];
    let values = values.into_iter().chain(others.map(|(key, value)| (key.to_owned(), value)));
    // Values that are not of the declared type, or of another one than text, make a column with JSON.
    let odd = [
        ("boxes", json!([1])),
        ("empty", json!("")),
        ("j2", json!("text")),
        ("n2", json!("5")),
        ("u", json!(5)),
    ];
    let odd = odd.map(|(key, value)| (key.to_owned(), value));
    let values: Vec<(String, Value)> = values.chain(odd).collect();
    let mut columns: Vec<ExportColumn> =
        values.iter().map(|(key, _)| ExportColumn::new(key.clone(), kind(key))).collect();
    for (column, (_, value)) in columns.iter_mut().zip(&values) {
        column.note(value);
    }
    let id = EntryId::from_bytes([7; 16]);
    let entry = Entry { id, placement: None, values, created_at: 0, updated_at: 1 };
    let (reference_type, reference_id) = ("order".to_owned(), "=1".to_owned());
    let found = BrowsedEntry { reference_type, reference_id, entry };
    let header = head_record(&columns);
    assert!(header.ends_with(",flag,j,n,boxes json,empty,j2,n2 json,u json\r\n"), "{header}");
    let file = format!("\u{feff}{header}{}", entry_record(&found, &columns).unwrap());
    // A value that came later than the columns is not written in a form that would be read as another one.
    let odd = ExportColumn::new("u".to_owned(), None);
    let rest: Vec<ExportColumn> = columns.iter().filter(|column| column.key != "u").cloned().collect();
    assert_eq!(entry_record(&found, &rest), None);
    assert_eq!(entry_record(&found, &[rest, vec![odd]].concat()), None);
    for cell in ["'=1+1", "'+1", "'-1", "'@x", "''", "''=x", ",-0.5"] {
        assert!(file.contains(cell), "{cell}: {file}");
    }
    let [row] = &rows(&file).unwrap()[..] else { panic!("{file}") };
    assert_eq!((row.line, row.id), (2, Some(id)));
    assert_eq!(row.reference, Reference::new("order", "=1").ok());
    let read: Vec<_> =
        row.fields.iter().map(|(key, value)| (key.as_str().to_owned(), value.clone())).collect();
    assert_eq!(read, found.entry.values);
}

#[test]
fn mistakes_have_a_line_and_a_column() {
    for (text, message) in [
        ("reference type,reference id,n\na,b,1\n\na,b,x\n", "4:5: \"x\" is no number"),
        (
            "reference type,reference id,n\na,\"b\nc\",1\na,b\n",
            "4:1: the record has 2 cells, but the first line has 3",
        ),
        ("entry id,n\nx,1\n", "2:1: \"x\" is not the id of an entry; leave the cell empty to create one"),
        ("entry id,n\n,1\n", "2:1: a new entry needs a \"reference type\" and a \"reference id\""),
        ("reference type,reference id\na,{\n", "2:3: referenceId must not contain { } [ ] \" or \\"),
        ("reference type,reference id,a\na,b,\"x\n", "2:5: the quotation mark is not closed"),
        (
            "reference type,reference id,a\na,b,\"x\"y\n",
            "2:8: a comma must follow the closing quotation mark",
        ),
        ("reference type,reference id,flag\né,b,1\n", "2:5: \"1\" is no boolean"),
        ("reference type,reference id,j\na,b,null\n", "2:5: \"null\" is no json"),
        ("reference type,reference id,u json\na,b,x\n", "2:5: \"x\" is no json"),
    ] {
        let mistake = rows(text).unwrap_err();
        assert!(mistake.starts_with(message), "{mistake}");
    }
    let long = format!("reference type,reference id,a\na,b,{}\n", "x".repeat(10_001));
    assert_eq!(
        rows(&long).unwrap_err(),
        "2:5: the value is a string of 10001 characters; at most 10000 can be stored"
    );
    let not_utf_8 = Reader::new(&b"a\n\xff\n"[..]);
    let mut reader = not_utf_8;
    reader.record().unwrap();
    assert!(reader.record().unwrap_err().to_string().starts_with("2:1: the record is not UTF-8"));
    for (names, message) in [
        ("", "1:1: the first line must name the columns"),
        ("a,b c", "1:3: \"b c\" is neither a field key nor one of the columns entry id, reference type"),
        ("a,a", "1:3: the column \"a\" is there twice"),
        ("a,a json", "1:3: the column \"a json\" is there twice"),
    ] {
        let mistake = Columns::read(Reader::new(names.as_bytes()).record().unwrap(), |_| None).unwrap_err();
        assert!(mistake.to_string().starts_with(message), "{mistake}");
    }
}
