use super::*;
use proptest::prelude::*;

fn read(text: &str) -> Quantity {
    text.parse().unwrap_or_else(|fault| panic!("{text}: {fault}"))
}

#[test]
fn a_quantity_has_one_way_to_be_written() {
    for (text, written) in [
        ("0", "0"),
        ("-0.000", "0"),
        ("0Ki", "0"),
        ("1", "1"),
        ("+1", "1"),
        ("0.5", "500m"),
        (".5", "500m"),
        ("5.", "5"),
        ("1000m", "1"),
        ("1500m", "1500m"),
        ("1000", "1k"),
        ("1500", "1500"),
        ("100k", "100k"),
        ("0001000k", "1M"),
        ("1024Ki", "1Mi"),
        ("1024", "1024"),
        ("1.5Gi", "1536Mi"),
        ("0.5Ki", "512"),
        ("0.1Ki", "102400m"),
        ("1000Ki", "1000Ki"),
        ("12e6", "12e6"),
        ("1e0", "1"),
        ("1000e0", "1e3"),
        ("1E3", "1e3"),
        ("1E", "1E"),
        ("5n", "5n"),
        ("0.1n", "1n"),
        ("-0.1n", "-1n"),
        ("1.0000000001", "1000000001n"),
        ("-3Mi", "-3Mi"),
        ("16Ei", "9223372036854775807"),
        ("1000E", "1000E"),
        ("123456789012345678901234567890Ei", "9223372036854775807"),
    ] {
        assert_eq!(read(text).to_string(), written, "{text}");
    }
}

#[test]
fn what_is_no_quantity_says_what_is_wrong_with_it() {
    for (text, fault) in [
        ("", QuantityError::Form),
        ("Ki", QuantityError::Form),
        ("-", QuantityError::Form),
        ("1 Gi", QuantityError::Form),
        (" 1", QuantityError::Form),
        ("1Gi ", QuantityError::Form),
        ("1x", QuantityError::Form),
        ("--1", QuantityError::Form),
        ("1.2.3", QuantityError::Number),
        (".", QuantityError::Number),
        ("1234567890123456789012345678901234567890", QuantityError::Number),
        ("1e", QuantityError::Suffix),
        ("1ki", QuantityError::Suffix),
        ("1KI", QuantityError::Form),
        ("1e99", QuantityError::Suffix),
        ("1k3", QuantityError::Suffix),
    ] {
        assert_eq!(text.parse::<Quantity>(), Err(fault), "{text}");
    }
}

#[test]
fn quantities_compare_by_what_they_mean() {
    for (less, more) in
        [("1", "1001m"), ("-1", "0"), ("1Ki", "1025"), ("1e30", "1e31"), ("-1e31", "-1e30"), ("1n", "1E")]
    {
        assert!(read(less) < read(more), "{less} < {more}");
        assert!(read(more) > read(less), "{more} > {less}");
    }
    assert_eq!(read("1Ki"), read("1024"));
    assert_eq!(read("1e3"), read("1k"));
    let many = "123456789012345678901234567890123456";
    assert!(read(&format!("{many}e36")) > read("1n") && read("-1n") > read(&format!("-{many}e36")));
}

#[test]
fn sums_keep_the_form_of_the_first() {
    let sum = |one: &str, two: &str| read(one).checked_add(read(two)).map(|sum| sum.to_string());
    assert_eq!(sum("1Gi", "1024Mi").as_deref(), Some("2Gi"));
    assert_eq!(sum("0", "1024Mi").as_deref(), Some("1Gi"));
    assert_eq!(sum("1", "500m").as_deref(), Some("1500m"));
    assert_eq!(sum("123456789012345678901234567890e36", "1n"), None);
    assert_eq!(read("1").checked_sub(read("1500m")).unwrap().to_string(), "-500m");
    assert!(read("1m").checked_sub(read("2m")).unwrap().is_negative());
    assert!(Quantity::ZERO.is_zero() && read("2Ki").is_whole() && !read("1m").is_whole());
}

#[test]
fn lists_of_resources_hold_thousandths() {
    for (text, rounded) in
        [("1u", "1m"), ("1500u", "2m"), ("-1u", "-1m"), ("0.5", "500m"), ("1.0000001Ki", "1024001m")]
    {
        assert_eq!(read(text).rounded_to_milli().to_string(), rounded, "{text}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_and_what_is_written_reads_the_same(text in "[+-]?[0-9.]{0,40}[eEinumkKMGTP]{0,2}[-+]?[0-9]{0,3}") {
        if let Ok(quantity) = text.parse::<Quantity>() {
            let again = read(&quantity.to_string());
            prop_assert_eq!(again, quantity);
            prop_assert_eq!(again.to_string(), quantity.to_string());
        }
    }
}
