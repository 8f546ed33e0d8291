use super::{clients::hash, *};
use secrecy::ExposeSecret;

fn parse(file: &str, variables: &[(&str, &str)]) -> Result<Config, Problems> {
    Config::parse(Some(("gateway.toml", file)), &variables.iter().copied().collect())
}

/// The value of `key`, as `gateway-server config` shows it, or the problems.
fn shown(file: &str, variables: &[(&str, &str)], key: &str) -> String {
    let config = match parse(file, variables) {
        Ok(config) => config.show(),
        Err(problems) => return problems.to_string(),
    };
    let (section, field) = key.rsplit_once('.').unwrap();
    let section = config.split_once(&format!("[{section}]\n")).map_or("", |(_, rest)| rest);
    let section = section.split("\n\n").next().unwrap();
    let line = section.lines().find_map(|line| line.strip_prefix(&format!("{field} = ")));
    line.unwrap_or("not set").to_owned()
}

#[track_caller]
fn check(file: &str, variables: &[(&str, &str)], key: &str, expected: &str) {
    assert_eq!(shown(file, variables, key), expected);
}

/// Both in this order, and each in a line of its own.
#[track_caller]
fn refused(file: &str, variables: &[(&str, &str)], expected: &[&str]) {
    let problems = parse(file, variables).unwrap_err();
    let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected), "{line}\nshould begin with\n{expected}");
    }
}

#[test]
fn a_default_gives_way_to_the_file_and_the_file_to_a_variable() {
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
fn a_name_without_prefix_comes_second_and_only_if_it_is_specific() {
    check("", &[("LOG_LEVEL", "DEBUG")], "log.level", "\"debug\"  # LOG_LEVEL");
    let both = [("LOG_LEVEL", "debug"), ("LLM_GATEWAY_LOG_LEVEL", "warning")];
    check("", &both, "log.level", "\"warn\"  # LLM_GATEWAY_LOG_LEVEL");
    for name in ["PORT", "HOST", "ENV", "ENVIRONMENT", "AUTH", "DATA_DIR"] {
        let config = parse("", &[(name, "surprise")]).unwrap();
        assert_eq!((config.server.port, config.warnings.len()), (8080, 0));
    }
}

#[test]
fn a_port_of_kubernetes_is_none_of_ours() {
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
fn every_known_provider_has_variables() {
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
fn a_provider_of_ones_own_says_where_it_is() {
    let file = "[providers.Lab]\nbase_url = \"http://lab/v1\"\nmodels = [\"qwen-*\"]\n\
                headers = { X-Team = \"a\" }";
    let config = parse(file, &[]).unwrap();
    let lab = &config.providers["lab"];
    assert_eq!(
        (lab.kind_of("lab"), lab.models.as_slice()),
        (Kind::OpenAiCompatible, &["qwen-*".to_owned()][..])
    );
    assert_eq!(lab.headers["X-Team"].value(), "a");
    assert_eq!(config.providers["lab"].kind_of("anthropic"), Kind::Anthropic);
    refused(
        "[providers.lab]\nmodels = []",
        &[],
        &["providers.lab.base_url (LLM_GATEWAY_PROVIDERS__LAB__BASE_URL): is needed"],
    );
    refused("[providers.google]\n[providers.gemini]", &[], &["providers.google ("]);
    refused("[providers.openai]\nquirks = \"x\"", &[], &["providers.openai.quirks"]);
    refused("[providers.openai.headers]\n\"a b\" = \"x\"", &[], &["providers.openai.headers"]);
}

#[test]
fn a_key_may_be_fetched_from_any_variable() {
    let file = "[providers.openai]\napi_key_env = \"MY_KEY\"";
    let config = parse(file, &[("MY_KEY", "k")]).unwrap();
    let key = config.providers["openai"].api_key.as_ref().unwrap();
    assert_eq!(key.expose_secret(), "k");
    refused(file, &[], &["providers.openai.api_key_env"]);
}

#[test]
fn all_problems_are_told_at_once() {
    let file = "[server]\nport = 70000\nprot = 1\nmax_body_bytes = \"lots\"\n[sever]\n\
                [timeouts]\nidle = \"soon\"\n[log]\nlevel = 1";
    refused(
        file,
        &[
            ("LLM_GATEWAY_ENV", "prod"),
            ("OLLAMA_URL", "localhost:11434"),
            ("LLM_GATEWAY_TIMEOUTS__CONNECT", "0"),
        ],
        &[
            "sever (in gateway.toml): no such section",
            "server.port (LLM_GATEWAY_PORT; set in gateway.toml): expected a whole number, from 1 to 65535; found",
            "server.environment (LLM_GATEWAY_ENV): expected `development`, `test`, ",
            "server.max_body_bytes (LLM_GATEWAY_MAX_BODY_BYTES; set in gateway.toml): expected a size",
            "server.prot (LLM_GATEWAY_SERVER__PROT; set in gateway.toml): no such setting",
            "timeouts.connect (LLM_GATEWAY_TIMEOUTS__CONNECT): expected a duration",
            "timeouts.idle (LLM_GATEWAY_TIMEOUTS__IDLE; set in gateway.toml): expected a duration",
            "log.level (LLM_GATEWAY_LOG_LEVEL; set in gateway.toml): expected `error`, `warn`, ",
            "providers.ollama.base_url (OLLAMA_URL): expected an address",
        ],
    );
}

#[test]
fn a_broken_file_does_not_hide_broken_variables() {
    refused(
        "[server",
        &[("LLM_GATEWAY_PORT", "x")],
        &["gateway.toml: line 1: ", "server.port (LLM_GATEWAY_PORT): "],
    );
}

#[test]
fn a_secret_is_never_told() {
    const CANARY: &str = "sk-canary-1234";
    let file = format!(
        "[providers.openai]\napi_key = \"{CANARY}\"\nheaders = {{ x-key = \"{CANARY}\" }}\n\
         [[clients]]\nname = \"a\"\nkey = \"{CANARY}\""
    );
    let config = parse(&file, &[("LLM_GATEWAY_API_KEYS", "b:sk-canary-5")]).unwrap();
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
    let problems =
        parse(&format!("log = \"{CANARY}\"\n[[clients]]\nkey_sha256 = \"{CANARY}\""), &wrong);
    let problems = problems.unwrap_err();
    assert!(problems.iter().count() >= 8, "{problems}");
    assert!(!format!("{problems}{problems:?}").contains("canary"), "{problems}");
}

#[test]
fn an_open_gateway_must_be_asked_for() {
    let host = "LLM_GATEWAY_HOST";
    refused("", &[(host, "0.0.0.0")], &["server.host (LLM_GATEWAY_HOST): without keys"]);
    refused("", &[(host, "::")], &["server.host (LLM_GATEWAY_HOST): without keys"]);
    refused("", &[("LLM_GATEWAY_AUTH", "on")], &["server.auth (LLM_GATEWAY_AUTH): callers need"]);
    let needs_keys = |variables: &[(&str, &str)]| parse("", variables).unwrap().needs_keys();
    assert!(!needs_keys(&[]));
    assert!(!needs_keys(&[(host, "0.0.0.0"), ("LLM_GATEWAY_AUTH", "off")]));
    assert!(needs_keys(&[(host, "0.0.0.0"), ("LLM_GATEWAY_API_KEYS", "k")]));
    assert!(needs_keys(&[("LLM_GATEWAY_API_KEYS", "k")]));
    assert!(!needs_keys(&[("LLM_GATEWAY_API_KEYS", "k"), ("LLM_GATEWAY_AUTH", "off")]));
}

#[test]
fn a_client_has_one_key() {
    let file = "[[clients]]\nname = \"a\"\nkey = \"k1\"\n[[clients]]\nname = \"b\"\ntenant = \"t\"\n\
                key_env = \"B_KEY\"\nmodels = [\"gpt-*\"]";
    let variables = [("B_KEY", "k2"), ("LLM_GATEWAY_API_KEYS", "a:k3, k4")];
    let clients = parse(file, &variables).unwrap().clients;
    let told: Vec<_> =
        clients.iter().map(|it| (it.name.as_str(), it.tenant.as_str(), it.key)).collect();
    assert_eq!(
        told,
        [
            ("a", "a", hash("k1")),
            ("b", "t", hash("k2")),
            ("a", "a", hash("k3")),
            ("default", "default", hash("k4"))
        ]
    );
    refused(file, &[], &["clients[1].key_env (in gateway.toml): the variable B_KEY holds no key"]);
    refused("[[clients]]\nkey = \"k\"", &[], &["clients[0].name (in gateway.toml): is needed"]);
    refused(
        "[[clients]]\nname = \"a\"",
        &[],
        &["clients[0].key (in gateway.toml): say exactly one"],
    );
    refused("[[clients]]\nname = \"a\"\nkey = \"k\"\nkey_env = \"X\"", &[], &["clients[0].key"]);
    refused("[[clients]]\nname = \"a\"\nkye = \"k\"", &[], &["clients[0].kye"]);
    refused(file, &[("B_KEY", "k1")], &["clients: `a` and `b` have the same key"]);
}

#[test]
fn the_hash_of_a_key_is_what_sha256sum_prints() {
    let digits = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
    let file = format!("[[clients]]\nname = \"a\"\nkey_sha256 = \"{digits}\"");
    assert_eq!(parse(&file, &[]).unwrap().clients[0].key, hash("foo"));
    refused(&file.replace("2c", "+c"), &[], &["clients[0].key_sha256"]);
}

#[test]
fn models_add_to_the_catalogue() {
    let file = "[[models]]\nid = \"m\"\nprovider = \"openai\"\napi = \"responses\"\n\
                price = { input = 2.5, output = 10 }\nreasoning = \"effort\"";
    let card = parse(file, &[]).unwrap().models[0].card(None).unwrap();
    assert_eq!(card.price.unwrap().input, 2_500_000_000);
    assert_eq!(card.api, Some(gateway_core::Dialect::Responses));
    refused("[[models]]\nid = \"m\"\nprovider = \"nobody\"", &[], &["models[0].provider"]);
    refused("[[models]]\nid = \"m\"\nprice = { input = 1 }", &[], &["models[0].price"]);
    refused("[[models]]", &[], &["models[0].id"]);
    refused("[models]", &[], &["models (in gateway.toml): expected a list"]);
}

#[test]
fn names_lead_somewhere() {
    let default = [("DEFAULT_PROVIDER", "nobody")];
    refused(
        "",
        &default,
        &["routing.default_provider (LLM_GATEWAY_DEFAULT_PROVIDER): there is no"],
    );
    refused("[aliases]\na = \"b\"\nb = \"A\"", &[], &["aliases.a", "aliases.b"]);
    let aliases = parse("[aliases]\nBest = \"fast\"\nfast = \"gpt-5-mini\"", &[]).unwrap().aliases;
    assert_eq!(aliases["best"], "fast");
}

#[test]
fn the_gateway_does_not_call_itself() {
    for url in ["http://localhost:8080/v1", "http://127.0.0.1:8080", "http://[::1]:8080"] {
        refused("", &[("OPENAI_BASE_URL", url)], &["providers.openai.base_url"]);
    }
    assert!(parse("", &[("OPENAI_BASE_URL", "http://localhost:8081/v1")]).is_ok());
}

#[test]
fn inner_waits_are_shorter_than_outer_ones() {
    refused("[timeouts]\ntotal = 10", &[], &["timeouts.first_byte"]);
}

#[test]
fn what_is_shown_is_a_configuration_of_the_same_meaning() {
    let file = "[server]\ncors_origins = [\"https://a\"]\n[providers.lab]\nbase_url = \"http://l\"\n\
                [aliases]\n\"a b\" = \"gpt-5\"\n[[models]]\nid = \"m\"\nprovider = \"lab\"\n\
                price = { input = 1, output = 2.5 }\n[timeouts]\nidle = \"1m\"";
    let shown = parse(file, &[]).unwrap().show();
    let again = parse(&shown, &[]).unwrap_or_else(|problems| panic!("{problems}\n{shown}"));
    assert_eq!(again.show().replace("  # gateway.toml", ""), shown.replace("  # gateway.toml", ""));
}

#[test]
fn every_default_is_within_its_range() {
    let shown = parse("", &[]).unwrap().show();
    assert!(parse(&shown, &[]).is_ok());
}

#[test]
fn a_missing_file_matters_only_if_it_was_named() {
    let nowhere = Path::new("/nonexistent/gateway.toml");
    let problems = Config::load(Some(nowhere), &Environment::default()).unwrap_err();
    assert!(problems.to_string().contains("cannot be read"), "{problems}");
    let env: Environment = [("LLM_GATEWAY_CONFIG", "/nonexistent/x")].into_iter().collect();
    assert!(Config::load(None, &env).is_err());
    assert!(Config::load(None, &Environment::default()).is_ok());
}
