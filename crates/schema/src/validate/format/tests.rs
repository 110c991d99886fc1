use super::{FORMATS, TextFormat};

/// A format, what is of it, and what is not.
const CASES: [(&str, &[&str], &[&str]); 28] = [
    (
        "bsonobjectid",
        &["507f1f77bcf86cd799439011"],
        &["", "507f1f77bcf86cd79943901", "x07f1f77bcf86cd799439011"],
    ),
    (
        "uri",
        &[
            "http://a.b/c?d=%",
            "/path",
            "mailto:a@b",
            "https://u:p@[::1]:80/",
            "urn:x",
            "http://a:80",
            "*",
            "http:/a",
        ],
        &["", "a/b", "http://a b/", "http://a:b/", "/%zz", "/a\n", "1http://x", "http://[::1", "?a"],
    ),
    (
        "email",
        &["a@b", "a.b+c@example.com", "A B <a@b.c>", "\"a b\"@c", "<a@b>", "a@[127.0.0.1]", "é@ü.de"],
        &["", "a", "@b", "a@", "a..b@c", "a b@c", "a@b>", "\"a@b", "a@b, c@d"],
    ),
    (
        "hostname",
        &["a", "a.bc", "1a.example.com", "a-b.co", "é.com", "☃.net", "localhost"],
        &["", "-a.com", "a-.com", "a.b", "a..com", "a_b.com", "a.c0m", "a b.com", "a."],
    ),
    ("ipv4", &["127.0.0.1", "::ffff:1.2.3.4"], &["", "::1", "1.2.3", "256.1.1.1", "01.2.3.4"]),
    ("ipv6", &["::1", "2001:db8::", "::ffff:1.2.3.4"], &["", "1.2.3.4", ":::", "1::2::3", "fe80::1%eth0"]),
    (
        "cidr",
        &["10.0.0.0/8", "::/0", "1.2.3.4/32"],
        &["", "10.0.0.0", "10.0.0.0/33", "a/8", "::/129", "::/+1"],
    ),
    (
        "mac",
        &["01:23:45:67:89:ab", "01-23-45-67-89-AB", "0123.4567.89ab", "02:00:5e:10:00:00:00:01"],
        &["", "01:23:45:67:89", "01:23-45:67:89:ab", "0123.4567", "01.23.45.67.89.ab", "0g:23:45:67:89:ab"],
    ),
    (
        "uuid",
        &["f47ac10b-58cc-0372-8567-0e02b2c3d479", "F47AC10B58CC037285670E02B2C3D479"],
        &[
            "",
            "f47ac10b--58cc-0372-8567-0e02b2c3d479",
            "f47ac10b-58cc-0372-8567-0e02b2c3d47",
            "f47ac10b58cc037285670e02b2c3d479-",
        ],
    ),
    ("uuid3", &["f47ac10b-58cc-3372-0567-0e02b2c3d479"], &["f47ac10b-58cc-4372-8567-0e02b2c3d479"]),
    (
        "uuid4",
        &["f47ac10b-58cc-4372-8567-0e02b2c3d479"],
        &["f47ac10b-58cc-3372-8567-0e02b2c3d479", "f47ac10b-58cc-4372-7567-0e02b2c3d479"],
    ),
    ("uuid5", &["f47ac10b-58cc-5372-B567-0e02b2c3d479"], &["f47ac10b-58cc-4372-8567-0e02b2c3d479"]),
    ("isbn", &["0321751043", "978-0321751041"], &["", "0321751044"]),
    ("isbn10", &["0-321-75104-3", "080442957X"], &["978-0321751041", "X804429570", "é32175104"]),
    ("isbn13", &["978-0321751041"], &["0321751043", "978-0321751042", "97803217510é"]),
    ("creditcard", &["4111 1111 1111 1111", "378282246310005"], &["", "4111111111111112", "1234"]),
    ("ssn", &["123-45-6789", "123 45 6789"], &["", "123456789", "123-456-789", "12a-45-6789"]),
    ("hexcolor", &["#fff", "A0B1C2"], &["", "#ffff", "#ggg", "##fff"]),
    ("rgbcolor", &["rgb(0,10,255)", "rgb( 1 , 2 , 3 )"], &["", "rgb(256,0,0)", "rgb(1,2)", "rgba(1,2,3)"]),
    ("byte", &["aGk=", "aGVsbG8h", "aGl="], &["", "aGk", "aG k=", "a===", "aGk\n", "=GkA"]),
    ("password", &["", "anything"], &[]),
    (
        "date",
        &["2026-11-23", "2024-02-29"],
        &["", "2025-02-29", "2026-1-1", "2026-13-01", "2026-11-23T00:00:00Z"],
    ),
    (
        "duration",
        &["1h30m", "-1.5s", "0", "22 ns", "3 days", "10 hours 2 min", "1µs", ".5s"],
        &["", "1", "h", "1 x", "1.s.", "99999999999999999999 s"],
    ),
    (
        "date-time",
        &["2026-11-23T04:00:00Z", "2026-11-23t04:00:00.123+01:00", "2026-11-23T04:00:00,5z"],
        &[
            "",
            "2026-11-23",
            "2026-11-23T24:00:00Z",
            "2026-11-23T04:00:60Z",
            "2026-11-23T04:00:00",
            "2026-11-23T04:00:00.Z",
        ],
    ),
    ("datetime", &["2026-11-23T04:00:00Z"], &["2026-11-23 04:00:00Z", "2026-11-23T04:00:00+0100"]),
    (
        "quantity",
        &["1", "-1.5Gi", "100m", "1e3", "1E-3", ".5", "1.", "1E"],
        &["", "Gi", "1gi", "1.2.3", "1 Gi", "1e"],
    ),
    ("k8s-short-name", &["a-1"], &["", "A", "a.b", "-a"]),
    ("k8s-long-name", &["a.b-1"], &["", "A", "a..b"]),
];

#[test]
fn each_format_knows_its_texts() {
    for (name, good, bad) in CASES {
        let format = TextFormat::of(name).unwrap();
        assert_eq!(format.name(), name);
        good.iter().for_each(|text| assert!(format.fits(text), "{name}: {text:?}"));
        bad.iter().for_each(|text| assert!(!format.fits(text), "{name}: {text:?}"));
    }
    assert_eq!(FORMATS.len(), CASES.len());
}

#[test]
fn dashes_in_names_are_no_matter_and_unknown_formats_are_none() {
    for (name, format) in [("date-time", "date-time"), ("k8sshortname", "k8s-short-name"), ("u-r-i", "uri")] {
        assert_eq!(TextFormat::of(name).unwrap().name(), format);
    }
    assert!(["", "colour", "int32", "micro-time", "UUID"].iter().all(|name| TextFormat::of(name).is_none()));
}
