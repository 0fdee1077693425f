from __future__ import annotations

import json
import re
import textwrap
import tomllib
from pathlib import Path

import pytest
from pydantic import ValidationError

from engine.config import (
    Config,
    allowed_values,
    config_file,
    config_hash,
    database_url,
    load_config,
    with_settings,
)
from engine.errors import ConfigError
from engine.setting import Section
from engine.settings import TIMEFRAMES
from engine.types import TIMEFRAME_MS

SECTIONS: dict[str, type[Section]] = {
    name: type(info.default) for name, info in Config.model_fields.items()
}
SETTINGS = [(section, key) for section, cls in SECTIONS.items() for key in cls.model_fields]


def load(folder: Path, text: str, **env: str) -> Config:
    path = folder / "config.toml"
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return load_config(path, env)


def refusal(folder: Path, text: str, **env: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(folder, text, **env)
    assert "\n" not in caught.value.message
    return caught.value


# The file and the models


def test_config_toml_and_the_models_agree_on_every_default(repo_root: Path) -> None:
    listed = tomllib.loads((repo_root / "config.toml").read_text(encoding="utf-8"))
    assert {(s, k) for s, keys in listed.items() for k in keys} == set(SETTINGS)
    loaded = load_config(repo_root / "config.toml", {})
    for section, key in SETTINGS:
        if section != "paths":
            value = getattr(getattr(Config(), section), key)
            assert getattr(getattr(loaded, section), key) == value, key
    assert listed["paths"] == {"home": "./var", "store": ""}
    assert loaded.paths.home == repo_root / "var"
    assert loaded.paths.store == repo_root / "var" / "market"


def test_config_toml_says_of_every_setting_what_the_model_says(repo_root: Path) -> None:
    comments: dict[tuple[str, str], str] = {}
    section, said = "", ""
    for line in (repo_root / "config.toml").read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            said += " " + line[2:].strip()
        elif line.startswith("["):
            section, said = line.strip("[]"), ""
        elif "=" in line:
            comments[section, line.split(" = ")[0]], said = said.strip(), ""
    for name, key in SETTINGS:
        description = SECTIONS[name].model_fields[key].description
        expected = f"{description} Needs {allowed_values(name, key)}."
        assert comments[name, key] == expected, f"[{name}] {key}"


@pytest.mark.parametrize(("section", "key"), SETTINGS, ids=lambda part: part)
def test_every_setting_has_a_meaning(section: str, key: str) -> None:
    assert len(SECTIONS[section].model_fields[key].description or "") > 10


def test_the_timeframes_are_the_ones_the_engine_knows() -> None:
    assert tuple(TIMEFRAME_MS) == TIMEFRAMES


def test_a_configuration_cannot_be_changed() -> None:
    config = Config()
    with pytest.raises(ValidationError, match="frozen"):
        config.cycle.count = 1
    with pytest.raises(ValidationError, match="frozen"):
        config.cycle = config.cycle


def test_the_numbers_of_the_gates_rise() -> None:
    config = Config()
    for name in ("sharpe_min", "n_trades_min", "profit_factor_min", "win_rate_min"):
        values = [getattr(gate, name) for gate in (config.screen, config.paper, config.live)]
        assert values == sorted(values)
        assert len(set(values)) == 3
    assert (config.paper.deflated_sharpe_min, config.live.deflated_sharpe_min) == (0.90, 0.95)
    assert (config.screen.total_return_min, config.screen.total_return_max) == (-0.5, 5.0)


# Finding the file


def test_the_file_is_looked_for_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repo_root: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert config_file(None, {}) == repo_root / "config.toml"
    local = tmp_path / "config.toml"
    local.write_text("")
    assert config_file(None, {}) == local
    named = {"PADDOCK_CONFIG": "other.toml"}
    assert config_file(None, named) == tmp_path / "other.toml"
    assert config_file(Path("third.toml"), named) == tmp_path / "third.toml"


def test_a_missing_file_is_named_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.toml: no such configuration file; copy"):
        load_config(tmp_path / "absent.toml", {})


def test_a_folder_instead_of_a_file_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_config(tmp_path, {})


@pytest.mark.parametrize("text", ["[cycle\n", "[cycle]\ncount =\n", "[cycle]\n[cycle]\n", 'a = "'])
def test_invalid_toml_is_named_with_its_line(tmp_path: Path, text: str) -> None:
    assert re.search(r"config\.toml:\d+: not valid TOML", refusal(tmp_path, text).message)


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b'[paths]\nhome = "\xff"\n')
    with pytest.raises(ConfigError, match="not UTF-8 text"):
        load_config(path, {})


def test_an_empty_file_gives_the_defaults(tmp_path: Path) -> None:
    config = load(tmp_path, "")
    assert config.cycle == Config().cycle
    assert config.paths.home == tmp_path / "var"


# What is refused


def test_a_misspelt_key_names_line_and_nearest_key(tmp_path: Path) -> None:
    error = refusal(tmp_path, "[paths]\nhome = 'x'\n\n[cycle]\n# a comment\ncuont = 5\n")
    assert error.message == (
        f"{tmp_path}/config.toml:6: unknown setting 'cuont' in [cycle]; nearest: count"
    )
    assert error.fields["nearest"] == "count"


def test_a_key_in_the_wrong_section_names_the_right_one(tmp_path: Path) -> None:
    error = refusal(tmp_path, "[cycle]\nleverage_max = 2.0\n")
    assert "leverage_max belongs to [limits]" in error.message


def test_a_misspelt_section_names_line_and_nearest_section(tmp_path: Path) -> None:
    error = refusal(tmp_path, "\n[cylce]\ncount = 5\n")
    assert error.message.endswith("config.toml:2: unknown section [cylce]; nearest: [cycle]")


def test_a_key_outside_all_sections_names_the_section_it_belongs_to(tmp_path: Path) -> None:
    error = refusal(tmp_path, "home = 'x'\n")
    assert ":1: 'home' stands in no section: it belongs under [paths]" in error.message


@pytest.mark.parametrize("text", ["cycle = 3\n", "[[cycle]]\ncount = 1\n"])
def test_a_section_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    assert ":1: [cycle] must be a section of settings" in refusal(tmp_path, text).message


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("count = 0", "count = 0 is not allowed: needs a whole number, >= 1 (candidates)"),
        ("count = -1", "count = -1 is not allowed"),
        ("count = 1.5", "count = 1.5 is not allowed: needs a whole number"),
        ("count = true", "count = true is not allowed: needs a whole number"),
        ('count = "500"', 'count = "500" is not allowed: needs a whole number'),
        ("genetic_share = 1.5", "needs a number, >= 0 and <= 1 (fraction)"),
        ("genetic_share = nan", "genetic_share = NaN is not allowed"),
        ("schedule_enabled = 1", "schedule_enabled = 1 is not allowed: needs true or false"),
        ("schedule = 3", "schedule = 3 is not allowed: needs text in quotes (cron, UTC)"),
        ('schedule = "every day"', "'every day' is not a cron line of five fields"),
        ('timeframe = "7m"', "'7m' is not a timeframe: use one of 1m"),
        ("count = 2024-01-01", "count = 2024-01-01 is not allowed"),
    ],
)
def test_a_wrong_value_names_line_key_value_and_what_is_allowed(
    tmp_path: Path, line: str, expected: str
) -> None:
    error = refusal(tmp_path, f"[cycle]\n{line}\n")
    assert f"{tmp_path}/config.toml:2: [cycle] " in error.message
    assert expected in error.message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[market]\nsymbols = []", "symbols = [] is not allowed: needs a list of texts"),
        ("[market]\nsymbols = [1]", "symbols = 1 is not allowed: needs a list of texts"),
        ('[market]\nsymbols = ["BTCUSDT"]', "'BTCUSDT' is not of the form BASE/QUOTE"),
        ('[market]\nsymbols = ["A/B", "A/B"]', "listed twice"),
        ('[market]\ntimeframes = ["5x"]', "'5x' is not a timeframe"),
        ('[market]\nsource = "live"', 'needs one of "generated", "store", "ccxt"'),
        ('[generated]\nend_at = "soon"', "end_at"),
        ('[generated]\nend_at = "2024-01-01T00:00:00+02:00"', "use UTC"),
        ("[genetic]\npopulation = 5\nelite = 6", ":3: [genetic] elite 6 exceeds population 5"),
        ("[cycle]\ngenetic_share = 0.5", ":2: [cycle] genetic_share + pattern_share"),
        ("[screen]\ntotal_return_min = 5.0", "total_return_min is not below total_return_max"),
        ("[limits]\ndrawdown_stop_frac = 0.05", "drawdown steps must rise"),
        ("[limits]\nposition_age_warn_s = 9000", "warned about after it is closed"),
        ('[paths]\nhome = ""', ":2: [paths] home is empty"),
        ("[paths]\nhome = 3", "home = 3 is not allowed: needs a folder in quotes"),
    ],
)
def test_settings_that_contradict_are_refused(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in refusal(tmp_path, text).message


def test_of_many_mistakes_the_first_line_is_named_and_the_rest_counted(tmp_path: Path) -> None:
    text = "[live]\nsharpe_min = 'x'\n[cycle]\ncount = 0\nseed = -1\n"
    message = refusal(tmp_path, text).message
    assert ":2: [live] sharpe_min" in message
    assert message.endswith("(and 2 more)")


def test_a_refused_database_address_is_not_shown(tmp_path: Path) -> None:
    error = refusal(tmp_path, '[database]\nurl = ["postgresql://paddock:hunter2@host/db"]\n')
    assert "hunter2" not in error.message
    assert "hunter2" not in str(error.fields)


def test_lines_are_found_in_dotted_and_quoted_spellings(tmp_path: Path) -> None:
    assert ":1: [cycle] count" in refusal(tmp_path, "cycle.count = 0\n").message
    assert ":3: [cycle] count" in refusal(tmp_path, '\n[ "cycle" ]\n"count" = 0\n').message
    assert ":1: [cycle] count" in refusal(tmp_path, "cycle = { count = 0 }\n").message


# The environment


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        "[cycle]\ncount = 10\n",
        PADDOCK_CYCLE__COUNT="20",
        PADDOCK_CYCLE__SCHEDULE_ENABLED="false",
        PADDOCK_MARKET__SYMBOLS='["SOL/USDT"]',
        PADDOCK_MARKET__SOURCE="store",
        PADDOCK_LIMITS__LEVERAGE_MAX="2",
        OTHER="ignored",
    )
    assert (config.cycle.count, config.cycle.schedule_enabled) == (20, False)
    assert config.market.symbols == ("SOL/USDT",)
    assert config.market.source == "store"
    assert config.limits.leverage_max == 2.0


def test_text_settings_take_the_environment_as_it_stands(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        "",
        PADDOCK_PATHS__HOME="2024",
        PADDOCK_MARKET__EXCHANGE="true",
        PADDOCK_DATABASE__URL="",
        PADDOCK_CONSOLE__THEME='"light"',
    )
    assert config.paths.home == tmp_path / "2024"
    assert config.market.exchange == "true"
    assert config.database.url == ""
    assert config.console.theme == "light"


def test_a_wrong_value_from_the_environment_names_the_variable(tmp_path: Path) -> None:
    error = refusal(tmp_path, "", PADDOCK_CYCLE__COUNT="many")
    assert error.message.startswith('environment variable PADDOCK_CYCLE__COUNT: [cycle] count = "')


def test_an_environment_value_cannot_smuggle_in_another_setting(tmp_path: Path) -> None:
    error = refusal(tmp_path, "", PADDOCK_CYCLE__COUNT="1\nseed = 2")
    assert "PADDOCK_CYCLE__COUNT" in error.message


@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        ("PADDOCK_CYCLE__CUONT", "unknown setting 'cuont' in [cycle]; nearest: count"),
        ("PADDOCK_CYLCE__COUNT", "unknown section [cylce]; nearest: [cycle]"),
        ("PADDOCK_CYCLE_COUNT", "did you mean PADDOCK_CYCLE__COUNT?"),
    ],
)
def test_an_unknown_variable_names_the_nearest_one(
    tmp_path: Path, variable: str, expected: str
) -> None:
    message = refusal(tmp_path, "", **{variable: "5"}).message
    assert message.startswith(f"environment variable {variable}: ")
    assert expected in message


# Folders, database, hash, changes


def test_relative_folders_count_from_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    config = load(tmp_path, "[paths]\nhome = '../state'\nstore = './bars'\n")
    assert config.paths.home == tmp_path.parent / "state"
    assert config.paths.store == tmp_path / "bars"


def test_an_empty_store_follows_home(tmp_path: Path) -> None:
    config = load(tmp_path, "", PADDOCK_PATHS__HOME="/srv/paddock")
    assert config.paths.store == Path("/srv/paddock/market")


def test_the_home_may_be_in_the_users_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    assert load(tmp_path, "[paths]\nhome = '~/p'\n").paths.home == Path("/home/ann/p")


def test_the_database_is_sqlite_in_home_unless_configured(tmp_path: Path) -> None:
    assert database_url(load(tmp_path, "")) == f"sqlite+aiosqlite:///{tmp_path}/var/paddock.db"
    url = "postgresql+asyncpg://host/db"
    assert database_url(load(tmp_path, f"[database]\nurl = '{url}'\n")) == url


def test_the_hash_ignores_what_does_not_change_results(tmp_path: Path) -> None:
    calm = """
        [paths]
        home = "/elsewhere"
        [runtime]
        workers = 2
        [console]
        poll_s = 3.0
        [cycle]
        schedule_enabled = false
        time_limit_s = 60
    """
    assert config_hash(load(tmp_path, calm)) == config_hash(Config())


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("cycle", "seed", 8),
        ("cycle", "count", 501),
        ("backtest", "commission_frac", 0.002),
        ("market", "symbols", ("BTC/USDT",)),
        ("genetic", "elite", 11),
        ("screen", "sharpe_min", 0.6),
        ("limits", "leverage_max", 2.0),
    ],
)
def test_the_hash_changes_with_what_changes_results(section: str, key: str, value: object) -> None:
    changed = with_settings(Config(), {section: {key: value}}, "test")
    assert config_hash(changed) != config_hash(Config())


def test_the_hash_is_the_same_for_a_whole_number_written_either_way(tmp_path: Path) -> None:
    whole = config_hash(load(tmp_path, "[limits]\nleverage_max = 3\n"))
    assert whole == config_hash(load(tmp_path, "[limits]\nleverage_max = 3.0\n"))


def test_changes_are_checked_and_leave_the_original_alone() -> None:
    config = Config()
    changed = with_settings(config, {"cycle": {"count": 5}, "market": {"days": 30}}, "command line")
    assert (changed.cycle.count, changed.market.days, config.cycle.count) == (5, 30, 500)
    with pytest.raises(ConfigError, match=r"^command line: \[market\] days = -1 is not allowed"):
        with_settings(config, {"market": {"days": -1}}, "command line")
    with pytest.raises(ConfigError, match=r"^command line: unknown setting 'dayz'"):
        with_settings(config, {"market": {"dayz": 1}}, "command line")


def test_a_store_that_followed_home_follows_it_when_home_moves(tmp_path: Path) -> None:
    moved = with_settings(Config(), {"paths": {"home": tmp_path}}, "test")
    assert moved.paths.store == tmp_path / "market"
    own = with_settings(Config(), {"paths": {"store": Path("/bars")}}, "test")
    kept = with_settings(own, {"paths": {"home": tmp_path}}, "test")
    assert kept.paths.store == Path("/bars")


def test_a_configuration_survives_a_round_trip_through_json() -> None:
    config = with_settings(Config(), {"cycle": {"count": 5}}, "test")
    assert Config.model_validate_json(config.model_dump_json()) == config
    assert json.loads(config.model_dump_json())["cycle"]["count"] == 5
