import pytest
from conftest import TINY, override
from dvc.utils.serialize import loads_yaml

from iic.core.errors import InputError
from iic.core.params import ARTICLE_OPERATIONS, parse_params
from iic.core.yaml_text import MAX_CHARACTERS, read_tree
from iic.pipeline.stage import read_params

COLORS = {"data.name": "custom", "data.channels": 3}


def refused(text: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        parse_params(text, "params.yaml")
    return str(caught.value).splitlines()


def test_the_committed_file_is_valid(params):
    assert params.augment.ops == list(ARTICLE_OPERATIONS)
    assert params.model.head_sizes == {"cluster": 10, "overcluster": 50}


def test_every_key_has_a_comment(params_text):
    for line in params_text.splitlines():
        if line and not line.startswith("#") and not line.endswith(":"):
            assert "  # " in line, line


def test_an_integer_equals_the_float(params_text):
    as_float = parse_params(override(params_text, {"loss.alpha": 2.0}), "p")
    as_integer = parse_params(override(params_text, {"loss.alpha": 2}), "p")
    assert as_float == as_integer
    assert as_float.model_dump_json() == as_integer.model_dump_json()


@pytest.mark.parametrize("spelling", ["0.0001", "1e-4", "1.0e-04", "1E-4"])
def test_yaml_numbers_are_read_as_dvc_reads_them(params_text, spelling):
    text = params_text.replace("learning_rate: 0.003 ", f"learning_rate: {spelling} ")
    assert parse_params(text, "p").train.learning_rate == 1e-4


def test_scalars_are_those_of_dvc():
    words = "yes, no, on, ~, null, 010, 0o10, 0x10, 1_000, .5, 1e3, 1.e3, .inf, True, '1', x"
    text = f"a: [{words}]"
    assert read_tree(text, "p") == loads_yaml(text)
    # DVC makes a date of the first, and fails for the others.
    unlike_dvc = "2020-01-01, 2020-99-99, +_, 0x_, ._, <<, ="
    assert read_tree(f"a: [{unlike_dvc}]", "p") == {"a": unlike_dvc.split(", ")}


def test_keys_are_text_whatever_they_look_like():
    assert read_tree("1: a\nnull: b\n2020-01-01: c\n<<: {d: e}\n", "p") == {
        "1": "a",
        "null": "b",
        "2020-01-01": "c",
        "<<": {"d": "e"},
    }


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  alpha: 5.0", "  alpah: 5.0", "loss.alpah: unknown key; did you mean 'loss.alpha'?"),
        ("loss:", "los:", "los: unknown key; did you mean 'loss'?"),
        ("  alpha: 5.0", "  alpha: five", "loss.alpha: 'five' should be a number"),
        ("  alpha: 5.0", "  alpha: '5.0'", "loss.alpha: '5.0' should be a number"),
        ("  alpha: 5.0", "  alpha: true", "loss.alpha: True should be a number"),
        ("  alpha: 5.0", "  alpha: null", "loss.alpha: None should be a number"),
        ("  alpha: 5.0", "  alpha: 0.0", "loss.alpha: 0.0 should be greater than 0"),
        ("  alpha: 5.0", "  alpha: .nan", "loss.alpha: nan should be a finite number"),
        ("  alpha: 5.0", "  alpha: -.inf", "loss.alpha: -inf should be a finite number"),
        ("both_views: true", "both_views: yes", "augment.both_views: 'yes' should be a boolean"),
        ("both_views: true", "both_views: 1", "augment.both_views: 1 should be a boolean"),
        ("epochs: 6", "epochs: 6.5", "train.epochs: 6.5 should be an integer"),
        ("epochs: 6", "epochs: 6.0", "train.epochs: 6.0 should be an integer"),
        ("epochs: 6", "epochs: 0", "train.epochs: 0 should be greater than or equal to 1"),
        ("recipe: default", 'recipe: "a\\nb"', r"recipe: 'a\nb' should be one line without"),
        ("recipe: default", 'recipe: "\\u2028"', r"recipe: '\u2028' should be one line without"),
        ("path: stages", 'path: "\\e" #', r"data.path: '\x1b' should be one line without"),
        ('label: "7"', 'label: "\\0"', r"report.label: '\x00' should be one line without"),
        ("batch_size: 250", "batch_size: 1", "train.batch_size: 1 should be at least 2: a single"),
        ("batch_size: 250", "batch_size: 0", "train.batch_size: 0 should be greater than or"),
        ("seed: 0", f"seed: {'9' * 5000}", f"seed: '{'9' * 56}... should be an integer"),
        ("seed: 0", 'seed: 0\n"\\e[1m\\n": 1', r"'\x1b[1m\n': unknown key"),
        ("  alpha: 5.0", "  alpha: 5.0\n  alpha: 1.0",
         "not valid YAML: line 53 ('alpha: 5.0'): the key 'alpha', line 54 "),
        ("loss:", "loss:\n  [alpha]: 1.0",
         "not valid YAML: line 53 ('[alpha]: 1.0'): a key should be a word"),
        ("seed: 0", "seed: 0\n[a]: 1.0\n",
         "not valid YAML: line 8 ('[a]: 1.0'): a key should be a word"),
        ("seed: 0", "seed: -1", "seed: -1 should be greater than or equal to 0"),
        ("[32, 64,", "[32, x,", "model.widths[1]: 'x' should be an integer"),
        ("recipe: default", "recipe: ''", "recipe: '' should have at least 1 character"),
        ("recipe: default", "recipe: 5", "recipe: 5 should be a string"),
        ("name: mnist", "name: minst", "data.name: unknown value 'minst'; did you mean 'mnist'?"),
        (
            "[rotation, distortion",
            "[rotaton, distortion",
            "augment.ops[0]: unknown value 'rotaton'; did you mean 'rotation'? "
            "(one of rotation, distortion, binarization, noise, flip, color)",
        ),
        ("[rotation, distortion", "[noise, distortion", "augment.ops: names an operation twice"),
        ("views: 12", "views: 1", "augment.views: a pair of two transformed views needs"),
        (
            "alpha_falls_until: 0.8",
            "alpha_falls_until: 0.4",
            "loss.alpha_falls_until: should be greater than loss.alpha_falls_from",
        ),
    ],
)  # fmt: skip
def test_each_mistake_is_reported_in_one_line(params_text, old, new, message):
    assert old in params_text
    lines = refused(params_text.replace(old, new, 1))
    expected = f"params.yaml: {message}"
    # A misspelt key is both unknown and missing.
    assert any(line.startswith(expected) for line in lines), lines
    assert len(lines) == (2 if "unknown key; did" in message else 1)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"data.image_size": 64}, "data.image_size: the images of mnist have 28×28 grey pixels"),
        ({"data.name": "digits", "data.channels": 3}, "data.channels: the images of digits have"),
        ({"data.name": "custom", "data.image_size": 15}, "data.image_size: 15 should be greater"),
        ({"data.name": "custom", "data.image_size": 129}, "data.image_size: 129 should be less"),
        ({"data.name": "custom", "data.channels": 2}, "data.channels: unknown value 2 (one of"),
        (COLORS | {"data.ink": "dark"}, "data.ink: images in colour have no ink and paper; set it"),
        (COLORS | {"data.size": "crop"}, "data.size: images in colour have no ink to crop to"),
        (COLORS | {"data.color": "refuse"}, "data.color: refuses the colours that data.channels"),
        (COLORS | {"data.image_size": 32, "model.poolings": 6},
         "model.poolings: 6 poolings leave no pixel of images of 32×32 pixels; lower it"),
        ({"augment.hue": 0.6}, "augment.hue: 0.6 should be less than or equal to 0.5"),
    ],
)  # fmt: skip
def test_settings_that_do_not_fit_size_or_colour_are_refused(params_text, values, message):
    (line,) = refused(override(params_text, values))
    assert line.startswith(f"params.yaml: {message}"), line


@pytest.mark.parametrize("side", [16, 28, 64, 128])
@pytest.mark.parametrize("channels", [1, 3])
def test_custom_images_may_have_other_sizes_and_colours(params_text, side, channels):
    values = {"data.name": "custom", "data.image_size": side, "data.channels": channels}
    assert parse_params(override(params_text, values), "p").data.image_size == side


def test_too_many_clusters_for_moving_overclusters_are_refused(params_text):
    (line,) = refused(override(params_text, {"model.clusters": 10_000}))
    assert line.startswith(
        "params.yaml: model.clusters: 500,000 parts of overclusters that may move"
    )
    for values in (
        {"model.clusters": 500},
        {"model.clusters": 10_000, "loss.teaching_weight": 0.0},
    ):
        parse_params(override(params_text, values), "params.yaml")


def test_a_second_training_with_the_same_seed_is_refused(params_text):
    (line,) = refused(override(params_text, {"seed": 7, "train.second_seed": 7}))
    assert line.startswith("params.yaml: train.second_seed: 7 is the seed of the first training")


def test_a_label_is_a_name_even_if_it_is_a_number(params_text):
    params = parse_params(override(params_text, {"report.label": 7}), "params.yaml")
    assert params.report.label == "7"
    assert refused(override(params_text, {"report.label": True}))[0].startswith(
        "params.yaml: report.label: True should be a string"
    )


def test_a_missing_key_is_reported(params_text):
    text = "\n".join(line for line in params_text.splitlines() if "batch_size:" not in line)
    assert refused(text) == [
        "params.yaml: train.batch_size: missing; copy the line from the params.yaml in Git"
    ]


def test_all_mistakes_are_reported_at_once(params_text):
    lines = refused(override(params_text, {"seed": "a", "loss.alpha": "b", "data.name": "c"}))
    assert [line.split(": ")[1] for line in lines] == ["seed", "data.name", "loss.alpha"]


def test_twenty_mistakes_are_listed_and_the_rest_counted(params_text):
    lines = refused("".join(f"k{n}: 1\n" for n in range(30)) + params_text)
    assert lines[19] == "params.yaml: k19: unknown key"
    assert lines[20:] == ["params.yaml: 10 more mistakes; is it the right file?"]


@pytest.mark.parametrize("text", ["", "- a", "just words", "42"])
def test_a_file_without_sections_is_refused(text):
    assert refused(text) == ["params.yaml: expected sections such as 'loss:' with keys below them"]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a: [1", "line 1 ('a: [1'): "),
        ("a: b: c", "line 1 ('a: b: c'): "),
        ("\t", "line 1 (''): "),
        ("a: !!python/object:os.system x", "line 1 ('a: !!python/object:os.system x'): tags such"),
        ("a: 1\nb: !!str x", "line 2 ('b: !!str x'): tags such as !!str are not supported"),
        ("a: &b [x]\nc: *b", "line 1 ('a: &b [x]'): anchors and aliases (&name, *name) are not"),
        ("a: 1\nc: *b", "line 2 ('c: *b'): anchors and aliases (&name, *name) are not"),
        ("a: 1\n\x1b", r"line 2 ('\x1b'): a character that YAML does not allow"),
        ('a: 1\nb: "\\U00110000"', r"""line 2 ('b: "\\U00110000"'): cannot be read ("""),
        ('a: "\\UFFFFFFFF"', r"""line 1 ('a: "\\UFFFFFFFF"'): cannot be read ("""),
        (
            f"a: {'[' * 20_000}",
            "line 1 ('a: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[['): brackets nested",
        ),
    ],
)
def test_invalid_yaml_is_reported_in_one_line_and_builds_no_object(text, what):
    (line,) = refused(text)
    assert line.startswith(f"params.yaml: not valid YAML: {what}")


def test_a_file_that_is_too_long_is_not_parsed(params_text, tmp_path):
    comment = "#" * (MAX_CHARACTERS - len(params_text))
    parse_params(params_text + comment, "params.yaml")
    message = "params.yaml: longer than 50000 characters; is it the right file?"
    assert refused(params_text + comment + "#") == [message]
    file = tmp_path / "params.yaml"
    with file.open("wb") as sparse:
        sparse.truncate(2**40)  # more than there is memory
    with pytest.raises(InputError, match="params.yaml: longer than 50000 characters"):
        read_params(file)


def test_a_number_in_place_of_a_section_is_refused(params_text):
    lines = refused(override(params_text, {"loss": 3}))
    assert lines == ["params.yaml: loss: 3 should be a section of keys and values"]


@pytest.mark.parametrize(
    "values",
    [
        {"augment.ops": []},
        {"loss.alpha_final": None},
        {"loss.alpha_final": 3},
        {"augment.both_views": False, "augment.views": 1},
        {"train.batch_size": 100_000},
        {"data.local_dir": "somewhere"},
        {"data.name": "custom", "data.path": "/a b/c", "data.size": "crop", "data.ink": "dark"},
        {"train.second_seed": 1},
        {"report.label": "T-shirt/top"},
        {"model.head_widths": []},
        TINY,
    ],
)
def test_unusual_but_valid_values_are_accepted(params_text, values):
    parse_params(override(params_text, values), "params.yaml")
