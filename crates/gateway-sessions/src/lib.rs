//! Sessions of the LLM gateway: lifecycle, history rules, taxonomy.
