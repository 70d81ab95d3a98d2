# Shortcuts. `.ci/run` does not need just.

# Lists the recipes.
default:
    @{{just_executable()}} --list

# Runs everything that must pass before a change is merged.
ci:
    .ci/run

# Installs the programs that the tests run (Debian; as root or with sudo).
test-deps:
    .ci/run test-deps

# Runs each fuzz target for this many seconds.
fuzz seconds="60":
    cd fuzz && for target in lines reverse escape config; do cargo run --release --bin "$target" -- {{seconds}} || exit 1; done

# Runs random clients against the real server: `just soak 20 --seed 2027`.
soak *arguments="1":
    cargo test --release --test soak -- {{arguments}}

# Measures throughput, latency and memory. Takes minutes.
bench *arguments:
    cargo bench --bench hub {{arguments}}
