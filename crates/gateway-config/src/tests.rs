use super::{clients::hash, *};
use secrecy::ExposeSecret;

fn parse(file: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    Config::parse(Some(("gateway.toml", file)), &variables.iter().copied().collect())
}

/// The value of `key`, as `gateway-server config` shows it, or the problems.
fn displayed_setting(file: &str, variables: &[(&str, &str)], key: &str) -> String {
    let config = match parse(file, variables) {
        Ok(config) => config.show(),
        Err(errors) => return errors.to_string(),
    };
    let (section, field) = key.rsplit_once('.').unwrap();
    let section = config.split_once(&format!("[{section}]\n")).map_or("", |(_, rest)| rest);
    let section = section.split("\n\n").next().unwrap();
    let line = section.lines().find_map(|line| line.strip_prefix(&format!("{field} = ")));
    line.unwrap_or("not set").to_owned()
}

#[track_caller]
fn check(file: &str, variables: &[(&str, &str)], key: &str, expected: &str) {
    assert_eq!(displayed_setting(file, variables, key), expected);
}

/// Checks that the lines begin so, in this order, each behind the location of the wrong value.
#[track_caller]
fn refused_at(file: &str, variables: &[(&str, &str)], expected: &[&str]) {
    let errors = parse(file, variables).unwrap_err();
    let lines: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected), "{line}\nshould begin with\n{expected}");
    }
}

/// The same, whatever the locations are.
#[track_caller]
fn assert_refused(file: &str, variables: &[(&str, &str)], expected: &[&str]) {
    let errors = parse(file, variables).unwrap_err();
    let lines: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    for (line, expected) in lines.iter().zip(expected) {
        let is_variable = |it: &str| it.bytes().all(|it| it.is_ascii_uppercase() || it == b'_');
        let message = match line.split_once(": ") {
            Some((at, rest)) if at.starts_with("gateway.toml") || is_variable(at) => rest,
            _ => line,
        };
        assert!(message.starts_with(expected), "{line}\nshould be about\n{expected}");
    }
}

#[test]
fn variable_overrides_file_and_file_overrides_default() {
    let file = "[server]\nport = 1";
    check("", &[], "server.port", "8080");
    check(file, &[], "server.port", "1  # gateway.toml");
    check(file, &[("LLM_GATEWAY_PORT", "2")], "server.port", "2  # LLM_GATEWAY_PORT");
    check(file, &[("LLM_GATEWAY_PORT", "")], "server.port", "1  # gateway.toml");
    check(file, &[("llm_gateway_port", " 2 ")], "server.port", "2  # LLM_GATEWAY_PORT");
    let both = [("LLM_GATEWAY_PORT", "2"), ("LLM_GATEWAY_SERVER__PORT", "3")];
    check(file, &both, "server.port", "3  # LLM_GATEWAY_SERVER__PORT");
}

#[test]
fn unprefixed_variable_is_second_and_must_be_specific() {
    check("", &[("LOG_LEVEL", "DEBUG")], "log.level", "\"debug\"  # LOG_LEVEL");
    let both = [("LOG_LEVEL", "debug"), ("LLM_GATEWAY_LOG_LEVEL", "warning")];
    check("", &both, "log.level", "\"warn\"  # LLM_GATEWAY_LOG_LEVEL");
    for name in ["PORT", "HOST", "ENV", "ENVIRONMENT", "AUTH", "DATA_DIR"] {
        let config = parse("", &[(name, "surprise")]).unwrap();
        assert_eq!((config.server.port, config.warnings.len()), (8080, 0));
    }
}

#[test]
fn kubernetes_service_link_is_ignored() {
    check("", &[("LLM_GATEWAY_PORT", "tcp://10.0.0.1:8080")], "server.port", "8080");
    check("", &[("LLM_GATEWAY_ENV", "test")], "server.environment", "\"test\"  # LLM_GATEWAY_ENV");
    let both = [("LLM_GATEWAY_ENVIRONMENT", "production")];
    check("", &both, "server.environment", "\"production\"  # LLM_GATEWAY_ENVIRONMENT");
}

#[track_caller]
fn check_key(variables: &[(&str, &str)], provider: &str, expected: &str) {
    let config = parse("", variables).unwrap();
    let key = config.providers[provider].api_key.as_ref().map(ExposeSecret::expose_secret);
    assert_eq!(key, Some(expected));
}

#[test]
fn known_provider_is_configured_by_variables() {
    check_key(&[("OPENAI_API_KEY", "sk-1")], "openai", "sk-1");
    check_key(&[("LLM_GATEWAY_OPENAI_API_KEY", "sk-1\n")], "openai", "sk-1");
    let both = [("OPENAI_API_KEY", "sk-2"), ("LLM_GATEWAY_OPENAI_API_KEY", "sk-1")];
    check_key(&both, "openai", "sk-1");
    check_key(&[("GOOGLE_API_KEY", "g")], "gemini", "g");
    check_key(&[("GROQ_API_KEY", "12345678")], "groq", "12345678");
    check_key(&[("LLM_GATEWAY_PROVIDERS__XAI__API_KEY", "x")], "xai", "x");
    let url = "\"http://i:8085\"  # INFERENCE_SERVICE_URL";
    let inference = [("INFERENCE_SERVICE_URL", "http://i:8085/")];
    check("", &inference, "providers.\"inference\".base_url", url);
    check("", &inference, "providers.\"llamacpp\".base_url", url);
    let ollama = [("LLM_GATEWAY_OLLAMA_URL", "http://o:1")];
    let url = "\"http://o:1\"  # LLM_GATEWAY_OLLAMA_URL";
    check("", &ollama, "providers.\"ollama\".base_url", url);
    let disabled = [("LLM_GATEWAY_LLAMACPP_ENABLED", "false")];
    let flag = "false  # LLM_GATEWAY_LLAMACPP_ENABLED";
    check("", &disabled, "providers.\"llamacpp\".enabled", flag);
}

#[test]
fn custom_provider_needs_base_url() {
    let file = "[providers.Lab]\nbase_url = \"http://lab/v1\"\nmodels = [\"qwen-*\"]\n\
                headers = { X-Team = \"a\" }";
    let config = parse(file, &[]).unwrap();
    let lab = &config.providers["lab"];
    assert_eq!(
        (lab.kind_of("lab"), lab.models.as_slice()),
        (ProviderKind::OpenAiCompatible, &["qwen-*".to_owned()][..])
    );
    assert_eq!(lab.headers["X-Team"].value(), "a");
    assert_eq!(config.providers["lab"].kind_of("anthropic"), ProviderKind::Anthropic);
    assert_refused("[providers.lab]\nmodels = []", &[], &["providers.lab.base_url: is needed"]);
    assert_refused(
        "[providers.google]\n[providers.gemini]",
        &[],
        &["providers.google: `gemini` is configured twice"],
    );
    assert_refused("[providers.openai]\nquirks = \"x\"", &[], &["providers.openai.quirks"]);
    assert_refused(
        "[providers.openai.headers]\n\"a b\" = \"x\"",
        &[],
        &["providers.openai.headers"],
    );
}

#[test]
fn api_key_env_reads_any_variable() {
    let file = "[providers.openai]\napi_key_env = \"MY_KEY\"";
    let config = parse(file, &[("MY_KEY", "k")]).unwrap();
    let key = config.providers["openai"].api_key.as_ref().unwrap();
    assert_eq!(key.expose_secret(), "k");
    assert_refused(file, &[], &["providers.openai.api_key_env"]);
}

#[test]
fn every_error_is_reported_with_location_value_and_remedy() {
    let file = "[server]\nport = 70000\nprot = 1\nmax_body_bytes = \"lots\"\n[sever]\n\
                [timeouts]\nidle = \"soon\"\n[log]\nlevel = 1";
    refused_at(
        file,
        &[
            ("LLM_GATEWAY_ENV", "prod"),
            ("OLLAMA_URL", "localhost:11434"),
            ("LLM_GATEWAY_TIMEOUTS__CONNECT", "0"),
        ],
        &[
            "gateway.toml:5:2: sever: unknown section; did you mean `server`?",
            "gateway.toml:2:1: server.port: expected a whole number, from 1 to 65535; found `70000`",
            "LLM_GATEWAY_ENV: server.environment: expected `development`, `test`, `staging`, `production`; found `prod`",
            "gateway.toml:4:1: server.max_body_bytes: expected a size such as `10MiB`, from `1KiB` to `1GiB`; found `lots`",
            "gateway.toml:3:1: server.prot: unknown setting; did you mean `port`?",
            "LLM_GATEWAY_TIMEOUTS__CONNECT: timeouts.connect: expected a duration such as `10s` or `500ms`, from `1ms` to `24h`; found `0`",
            "gateway.toml:7:1: timeouts.idle: expected a duration such as `10s` or `500ms`, from `1ms` to `24h`; found `soon`",
            "gateway.toml:9:1: log.level: expected `error`, `warn`, `info`, `debug`, `trace`; found `1`",
            "OLLAMA_URL: providers.ollama.base_url: expected an address such as `https://host:port/path`, without user or query; found `localhost:11434`",
        ],
    );
}

#[test]
fn syntax_error_does_not_hide_wrong_variables() {
    assert_refused("[server", &[("LLM_GATEWAY_PORT", "x")], &["invalid TOML: ", "server.port: "]);
}

#[test]
fn secret_is_never_displayed() {
    const CANARY: &str = "sk-canary-0123456789abcdef01234567";
    let file = format!(
        "[providers.openai]\napi_key = \"{CANARY}\"\nheaders = {{ x-key = \"{CANARY}\" }}\n\
         [[clients]]\nname = \"a\"\nkey = \"{CANARY}\""
    );
    let config =
        parse(&file, &[("LLM_GATEWAY_API_KEYS", "b:sk-canary-5123456789abcdef01234567")]).unwrap();
    let told = format!("{config:?}{}", config.show());
    assert!(!told.contains("canary"), "{told}");
    // Nor if it stands in the wrong place.
    let wrong = [
        ("LLM_GATEWAY_PORT", CANARY),
        ("LLM_GATEWAY_ENV", CANARY),
        ("OPENAI_BASE_URL", "https://user:canary@host"),
        ("LLM_GATEWAY_TIMEOUTS__IDLE", CANARY),
        ("ANTHROPIC_API_KEY", "sk-canary\u{e9}"),
        ("CORS_ORIGINS", CANARY),
    ];
    let errors =
        parse(&format!("log = \"{CANARY}\"\n[[clients]]\nkey_sha256 = \"{CANARY}\""), &wrong);
    let errors = errors.unwrap_err();
    assert!(errors.iter().count() >= 8, "{errors}");
    assert!(!format!("{errors}{errors:?}").contains("canary"), "{errors}");
}

const K1: &str = "k1-0123456789abcdef0123456789abcdef";
const K2: &str = "k2-0123456789abcdef0123456789abcdef";
const K3: &str = "k3-0123456789abcdef0123456789abcdef";
const K4: &str = "k4-0123456789abcdef0123456789abcdef";

#[test]
fn secret_that_can_be_guessed_is_refused() {
    let weak = "can be guessed: it needs at least 128 random bits";
    let key = format!("clients[0].key: {weak}");
    assert_refused("[[clients]]\nname = \"a\"\nkey = \"x\"", &[], &[&key]);
    let token = format!("admin.token: {weak}");
    assert_refused("[admin]\ntoken = \"secret\"", &[], &[&token]);
    assert_refused("", &[("LLM_GATEWAY_API_KEYS", "a:k")], &["auth.api_keys: "]);
}

#[test]
fn public_address_needs_keys_or_auth_off() {
    let host = "LLM_GATEWAY_HOST";
    assert_refused("", &[(host, "0.0.0.0")], &["server.host: without keys"]);
    assert_refused("", &[(host, "::")], &["server.host: without keys"]);
    assert_refused("", &[("LLM_GATEWAY_AUTH", "on")], &["server.auth: callers need"]);
    let needs_keys = |variables: &[(&str, &str)]| parse("", variables).unwrap().needs_keys();
    assert!(!needs_keys(&[]));
    assert!(!needs_keys(&[(host, "0.0.0.0"), ("LLM_GATEWAY_AUTH", "off")]));
    assert!(needs_keys(&[(host, "0.0.0.0"), ("LLM_GATEWAY_API_KEYS", K1)]));
    assert!(needs_keys(&[("LLM_GATEWAY_API_KEYS", K1)]));
    assert!(!needs_keys(&[("LLM_GATEWAY_API_KEYS", K1), ("LLM_GATEWAY_AUTH", "off")]));
}

#[test]
fn client_entry_without_single_key_is_refused() {
    let file = "[[clients]]\nname = \"a\"\nkey = \"K1\"\n[[clients]]\nname = \"b\"\ntenant = \"t\"\n\
                key_env = \"B_KEY\"\nmodels = [\"gpt-*\"]";
    let file = &file.replace("K1", K1);
    let listed = format!("a:{K3}, {K4}");
    let variables = [("B_KEY", K2), ("LLM_GATEWAY_API_KEYS", &*listed)];
    let clients = parse(file, &variables).unwrap().clients;
    let told: Vec<_> =
        clients.iter().map(|it| (it.name.as_str(), it.tenant.as_str(), it.key)).collect();
    assert_eq!(
        told,
        [
            ("a", "a", hash(K1)),
            ("b", "t", hash(K2)),
            ("a", "a", hash(K3)),
            ("default", "default", hash(K4))
        ]
    );
    assert_refused(file, &[], &["clients[1].key_env: the variable B_KEY holds no key"]);
    assert_refused("[[clients]]\nkey = \"k\"", &[], &["clients[0].name: is needed"]);
    assert_refused("[[clients]]\nname = \"a\"", &[], &["clients[0].key: set exactly one"]);
    assert_refused(
        "[[clients]]\nname = \"a\"\nkey = \"k\"\nkey_env = \"X\"",
        &[],
        &["clients[0].key"],
    );
    assert_refused("[[clients]]\nname = \"a\"\nkye = \"k\"", &[], &["clients[0].kye"]);
    assert_refused(file, &[("B_KEY", K1)], &["clients: `a` and `b` have the same key"]);
}

#[test]
fn key_hash_equals_sha256sum() {
    let digits = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
    let file = format!("[[clients]]\nname = \"a\"\nkey_sha256 = \"{digits}\"");
    assert_eq!(parse(&file, &[]).unwrap().clients[0].key, hash("foo"));
    assert_refused(&file.replace("2c", "+c"), &[], &["clients[0].key_sha256"]);
}

#[test]
fn configured_model_extends_the_catalogue() {
    let file = "[[models]]\nid = \"m\"\nprovider = \"openai\"\napi = \"responses\"\n\
                price = { input = 2.5, output = 10 }\nreasoning = \"effort\"";
    let card = parse(file, &[]).unwrap().models[0].card(None).unwrap();
    assert_eq!(card.prices.periods()[0].price.rates.input, 2_500_000_000);
    assert_eq!(card.api, Some(gateway_core::Dialect::Responses));
    assert_refused("[[models]]\nid = \"m\"\nprovider = \"nobody\"", &[], &["models[0].provider"]);
    assert_refused("[[models]]\nid = \"m\"\nprice = { input = 1 }", &[], &["models[0].price"]);
    assert_refused("[[models]]", &[], &["models[0].id"]);
    assert_refused("[models]", &[], &["models: expected a list"]);
}

#[test]
fn unknown_provider_and_circular_alias_are_refused() {
    let default = [("DEFAULT_PROVIDER", "nobody")];
    assert_refused("", &default, &["routing.default_provider: there is no"]);
    assert_refused("[aliases]\na = \"b\"\nb = \"A\"", &[], &["aliases.a", "aliases.b"]);
    let aliases = parse("[aliases]\nBest = \"fast\"\nfast = \"gpt-5-mini\"", &[]).unwrap().aliases;
    assert_eq!(aliases["best"], "fast");
}

#[test]
fn own_address_as_base_url_is_refused() {
    for url in ["http://localhost:8080/v1", "http://127.0.0.1:8080", "http://[::1]:8080"] {
        assert_refused("", &[("OPENAI_BASE_URL", url)], &["providers.openai.base_url"]);
    }
    assert!(parse("", &[("OPENAI_BASE_URL", "http://localhost:8081/v1")]).is_ok());
}

#[test]
fn inner_timeout_must_not_exceed_outer_timeout() {
    assert_refused("[timeouts]\ntotal = 10", &[], &["timeouts.first_byte"]);
}

#[test]
fn displayed_configuration_parses_to_the_same() {
    let file = "[server]\ncors_origins = [\"https://a\"]\n[providers.lab]\nbase_url = \"http://l\"\n\
                [aliases]\n\"a b\" = \"gpt-5\"\n[[models]]\nid = \"m\"\nprovider = \"lab\"\n\
                price = { input = 1, output = 2.5 }\n[timeouts]\nidle = \"1m\"";
    let shown = parse(file, &[]).unwrap().show();
    let again = parse(&shown, &[]).unwrap_or_else(|errors| panic!("{errors}\n{shown}"));
    assert_eq!(again.show().replace("  # gateway.toml", ""), shown.replace("  # gateway.toml", ""));
}

#[test]
fn every_default_is_valid() {
    let shown = parse("", &[]).unwrap().show();
    assert!(parse(&shown, &[]).is_ok());
}

#[test]
fn missing_file_is_an_error_only_if_named() {
    let nowhere = Path::new("/nonexistent/gateway.toml");
    let errors = Config::load(Some(nowhere), &Environment::default()).unwrap_err();
    assert!(errors.to_string().contains("cannot be read"), "{errors}");
    let env: Environment = [("LLM_GATEWAY_CONFIG", "/nonexistent/x")].into_iter().collect();
    assert!(Config::load(None, &env).is_err());
    assert!(Config::load(None, &Environment::default()).is_ok());
}

#[test]
fn similar_or_misplaced_names_are_suggested() {
    assert_refused("port = 80", &[], &["port: unknown section; did you mean `server.port`?"]);
    assert_refused(
        "[server]\nlevel = \"info\"",
        &[],
        &["server.level: unknown setting; did you mean `log.level`?"],
    );
    assert_refused(
        "[log]\nlevel = \"inof\"",
        &[],
        &[
            "log.level: expected `error`, `warn`, `info`, `debug`, `trace`; found `inof`; did you mean `info`?",
        ],
    );
    assert_refused(
        "[console]\nxyz = 1",
        &[],
        &["console.xyz: unknown setting; known settings: enabled"],
    );
    assert_refused(
        "",
        &[("DEFAULT_PROVIDER", "opnai")],
        &["routing.default_provider: there is no provider `opnai`; did you mean `openai`?"],
    );
}

#[test]
fn references_to_variables_are_refused_with_the_setting_to_use() {
    let provider = |key: &str| format!("[providers.openai]\n{key}");
    for reference in ["os.environ/MY_KEY", "${MY_KEY}", "$MY_KEY", "env:MY_KEY", "{{ env.MY_KEY }}"]
    {
        let expected = "providers.openai.api_key: references to variables such as `MY_KEY` are not \
                        expanded; write `api_key_env = \"MY_KEY\"`";
        assert_refused(&provider(&format!("api_key = \"{reference}\"")), &[], &[expected]);
    }
    let expected = "providers.openai.base_url: references to variables such as `URL_X` are not \
                    expanded; write the value itself, or set the variable LLM_GATEWAY_PROVIDERS__OPENAI__BASE_URL";
    assert_refused(&provider("base_url = \"${URL_X}\""), &[], &[expected]);
    let expected = "clients[0].key: references to variables such as `K1` are not expanded; write `key_env = \"K1\"`";
    assert_refused("[[clients]]\nname = \"a\"\nkey = \"os.environ/K1\"", &[], &[expected]);
    assert!(parse(&provider("api_key = \"$ecret\""), &[]).is_ok());
}

#[test]
fn limit_of_zero_is_refused() {
    let client = |limits: &str| format!("[[clients]]\nname = \"a\"\nkey = \"{K1}\"\n{limits}");
    let expected = "clients[0].requests_per_minute: expected a whole number, from 1 to 1000000000000; found `0`";
    assert_refused(&client("requests_per_minute = 0"), &[], &[expected]);
    let limits = "model_limits = [{ model = \"m\", tokens_per_minute = 0 }]";
    assert_refused(
        &client(limits),
        &[],
        &["clients[0].model_limits[0].tokens_per_minute: expected"],
    );
    assert_refused(
        &client("model_limits = [{ burst = 1 }]"),
        &[],
        &["clients[0].model_limits[0].model: is needed"],
    );
    assert_refused(&client("burst = 5"), &[], &["clients: `burst` of client `a` has no effect"]);
}

#[test]
fn listeners_on_the_same_port_are_refused() {
    assert_refused(
        "[server]\nhealth_port = 8080",
        &[],
        &["server.health_port: `8080` is the port"],
    );
    let admin = format!("[admin]\nlisten = \"127.0.0.1:8080\"\ntoken = \"{K1}\"");
    assert_refused(&admin, &[], &["admin.listen: the port is already used"]);
}
