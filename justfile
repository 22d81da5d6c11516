# What people do daily. `just` lists it.

target := env("CARGO_TARGET_DIR", "target")

_list:
    @just --list --unsorted

# Formatting, lints, and the imports between rooms and files
check:
    cargo fmt --check
    cargo clippy --locked --all-targets -- -D warnings
    cargo test --locked --test it -- house:: circles::

# All tests; or those of a room or a feature: `just test quota`
test room="":
    #!/usr/bin/env bash
    set -euo pipefail
    if [ -z "{{ room }}" ]; then
      exec tests/run
    fi
    cargo test --locked --lib -- "{{ room }}::"
    cargo test --locked --test it -- "{{ room }}::"

# The page of a daemon on the simulator, at http://127.0.0.1:7311/; the first start prints its tokens
page:
    cargo build --locked
    [ -d "{{ target }}/page" ] || "{{ target }}/debug/mooncast" new "{{ target }}/page"
    "{{ target }}/debug/mooncast" --project "{{ target }}/page" serve

# The reference pages of the books, written from the stubs and from the commands' help
reference:
    MOONCAST_BLESS=1 cargo test --locked --test it -- book::the_reference

# The pictures of the page in the documents, taken by the tests
pictures:
    cargo test --locked --test it -- page::acts page::looks
    cp target/screenshots/first-running.png docs/en/src/images/page.png
    cp target/screenshots/first-zh-CN-desk-day.png docs/zh/src/images/page.png

# A bench of this checkout and of another revision in turn: `just bench throughput main`
bench name revision="main" times="5":
    #!/usr/bin/env bash
    set -euo pipefail
    unset CARGO_TARGET_DIR
    commit=$(git rev-parse --short "{{ revision }}")
    other="target/bench-$commit"
    [ -d "$other" ] || git worktree add --detach "$other" "$commit"
    (cd "$other" && cargo bench --locked --no-run --bench "{{ name }}")
    cargo bench --locked --no-run --bench "{{ name }}"
    for round in $(seq "{{ times }}"); do
      echo "== round $round: $commit"
      (cd "$other" && cargo bench --locked --bench "{{ name }}")
      echo "== round $round: this checkout"
      cargo bench --locked --bench "{{ name }}"
    done
