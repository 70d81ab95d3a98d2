//! Names and devices in the file.

use super::*;

#[test]
fn names_and_devices_are_read_and_written() {
    let text = "[names]\n\"10.0.0.0/8\" = \"plant\"\n\n[[connect]]\naddress = \"scope.lab:5025\"\n\
                name = \"scope\"\nretry = \"500ms\"\nretry_max = \"30s\"\n";
    let config = parsed(text);
    assert_eq!(config.names.find([10, 0, 0, 7].into()).map(Name::as_str), Some("plant"));
    let [device] = &config.connect[..] else { panic!("{:?}", config.connect) };
    assert_eq!(device.to_string(), "scope at scope.lab:5025");
    assert_eq!(device.retry, Duration::from_millis(500));
    assert!(config.to_toml().unwrap().ends_with(text), "{}", config.to_toml().unwrap());
    config.validate().unwrap();
}

#[test]
fn a_wrong_name_or_device_is_an_error() {
    for (text, expected) in [
        (
            "[names]\n\"10.0.0.7\" = \"a b\"",
            "2: names.10.0.0.7: invalid value: string \"a b\", expected a name of 1 to 64 bytes",
        ),
        (
            "[names]\nscope = \"a\"",
            "1: names: invalid key: \"scope\", expected an address or a network",
        ),
        (
            "[names]\n\"10.0.0.7\" = \"a\"\n\"10.0.0.7/32\" = \"b\"",
            "1: names: duplicate key: \"10.0.0.7/32\", expected each network once",
        ),
        (
            "[[connect]]\naddress = \"scope\"",
            "2: connect[0].address: invalid value: string \"scope\", expected HOST:PORT",
        ),
        ("[[connect]]\nname = \"scope\"", "1: connect[0]: missing field `address`"),
        (
            "[[connect]]\naddress = \"a:1\"\nname = \"7\"",
            "3: connect[0].name: invalid value: string \"7\", expected a name",
        ),
        ("connect = [[\"a:1\"]]", "1: connect: invalid type: array, expected a table"),
        (
            "[[connect]]\naddress = \"a:1\"\nretry = \"2m\"",
            "1: connect: retry (120s) is longer than retry_max (30s) for a:1: expected",
        ),
    ] {
        let error = error(text);
        assert!(error.starts_with(&format!("hub.toml:{expected}")), "{error}");
    }
}
