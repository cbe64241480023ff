using Compress.Core.Methods;
using Compress.Core.Recipes;

namespace Compress.Core.Tests.Recipes;

public sealed class RecipeBinderTests
{
    private const string Good = """
        model: models/tiny
        seed: 7
        calibration: { data: calib.txt, samples: 32, length: 512 }
        stages:
          - prune:    { method: wanda, sparsity: 0.5, pattern: "2:4", ignore: [lm_head] }
          - quantize: { method: gptq, bits: 3, group_size: null, activation_order: true, keep: sparsity, flavour: abs_max }
        evaluate:
          - perplexity: { data: heldout.txt, window: 256 }
          - divergence: { against: original }
        export:
          - { format: hf, to: out/model }
        """;

    private static Recipe Parse(string text, params string[] overrides) =>
        RecipeFile.Parse("r.yaml", text, TestMethods.Catalogue, overrides).Value;

    private static string[] Problems(string text, params string[] overrides) =>
        [.. Assert.Throws<RecipeException>(() => Parse(text, overrides)).Problems.Select(p => p.ToString())];

    [Fact]
    public void A_recipe_binds_with_defaults_filled_in()
    {
        var recipe = Parse(Good);
        Assert.Equal(("models/tiny", 7, DeviceChoice.Auto), (recipe.Model, recipe.Seed, recipe.Device));
        Assert.Equal(new CalibrationRecipe { Data = "calib.txt", Samples = 32, Length = 512, BatchSize = 4 }, recipe.Calibration);
        Assert.Equal(["wanda", "gptq"], recipe.Stages.Select(s => s.Method.Attribute.Name));
        Assert.Equal(new TestWanda.Options { Sparsity = 0.5, Pattern = "2:4" }, recipe.Stages[0].Options);
        Assert.Equal(["lm_head"], recipe.Stages[0].Ignore);
        Assert.Equal(
            new TestGptq.Options { Bits = 3, GroupSize = null, ActivationOrder = true, Flavour = TestFlavour.AbsMax },
            recipe.Stages[1].Options);
        Assert.Equal((false, true), (recipe.Stages[0].KeepSparsity, recipe.Stages[1].KeepSparsity));
        Assert.Equal([new PerplexityRecipe { Data = "heldout.txt", Window = 256 }, new DivergenceRecipe()], recipe.Evaluate);
        Assert.Equal(new ExportRecipe { Format = "hf", To = "out/model" }, Assert.Single(recipe.Export));
    }

    [Fact]
    public void Every_problem_is_reported_with_its_place_and_the_nearest_name()
    {
        var problems = Problems("""
            modle: x
            seed: "3"
            calibration: { data: c.txt, samples: 0, lenght: 5 }
            stages:
              - prune: { method: wnda, sparsity: 0.5 }
              - prune: { method: wanda, sparsity: 1.5, keep: all }
              - quantize: { method: gptq, bits: 4.5, flavour: absmax, activation_order: yes }
              - quantize: { method: wanda }
              - quantise: { method: gptq }
              - prune: { method: wanda }
                quantize: { method: gptq }
              - prune
            evaluate:
              - perplexity: { window: 1, data: [a] }
            export:
              - { format: gguff, to: }
            """);
        Assert.Equal(
        [
            "r.yaml:1:1: modle: unknown key. Did you mean 'model'? "
                + "Valid keys: model, name, seed, device, calibration, stages, evaluate, export.",
            "r.yaml:1:1: model: is required and missing. Give a text.",
            "r.yaml:2:7: seed: '3' is not a whole number. Remove the quotes.",
            "r.yaml:3:38: calibration.samples: 0 is not between 1 and 1000000.",
            "r.yaml:3:41: calibration.lenght: unknown key. Did you mean 'length'? Valid keys: data, samples, length, batch_size, precision.",
            "r.yaml:5:22: stages.0.prune.method: unknown method 'wnda'. Did you mean 'wanda'? Valid methods: wanda.",
            "r.yaml:6:39: stages.1.prune.sparsity: 1.5 is not between 0 and 1.",
            "r.yaml:6:50: stages.1.prune.keep: must be 'sparsity'. Leave the key out to let this stage fill zeros.",
            "r.yaml:7:37: stages.2.quantize.bits: '4.5' is not a whole number between 2 and 8.",
            "r.yaml:7:51: stages.2.quantize.flavour: 'absmax' is not a valid value. Did you mean 'abs_max'? "
                + "Valid values: abs_max, min_max.",
            "r.yaml:7:77: stages.2.quantize.activation_order: 'yes' is not true or false. Write true.",
            "r.yaml:8:25: stages.3.quantize.method: 'wanda' is not a method of this kind of stage. "
                + "Write '- prune: { method: wanda, … }'.",
            "r.yaml:9:5: stages.4.quantise: unknown key. Did you mean 'quantize'? Valid keys: prune, quantize, distill.",
            "r.yaml:11:5: stages.5.quantize: stands beside 'prune' in one list item. "
                + "Begin a new item with '- quantize:', or indent it to belong to 'prune'.",
            "r.yaml:12:5: stages.6: must be one of the forms 'prune: { … }', not the single value 'prune'. Valid forms: prune, quantize, distill.",
            "r.yaml:14:27: evaluate.0.perplexity.window: 1 is not between 2 and 1048576.",
            "r.yaml:14:36: evaluate.0.perplexity.data: must be a text, not a list.",
            "r.yaml:16:15: export.0.format: 'gguff' is not a valid value. Did you mean 'gguf'? Valid values: hf, compressed-tensors, gptq, awq, gguf, compress.",
            "r.yaml:16:26: export.0.to: has no value; a text was expected.",
        ], problems);
    }

    [Theory]
    [InlineData("stages.0.sparsity=0.6")]
    [InlineData("stages.0.prune.sparsity=0.6")]
    public void An_override_reaches_a_stage_with_or_without_its_kind(string argument) =>
        Assert.Equal(0.6, ((TestWanda.Options)Parse(Good, argument).Stages[0].Options).Sparsity);

    [Fact]
    public void Overrides_make_missing_parts_and_append_to_lists()
    {
        var recipe = Parse("model: m", "calibration.data=c.txt", "stages.0.quantize.method=rtn", "stages.0.bits=3",
            "stages.0.targets=[a, b]");
        Assert.Equal("c.txt", recipe.Calibration!.Data);
        Assert.Equal(3, ((TestRtn.Options)Assert.Single(recipe.Stages).Options).Bits);
        Assert.Equal(["a", "b"], recipe.Stages[0].Targets);
    }

    [Theory]
    [InlineData("seed", "--set seed: has no key=value. Write for example --set stages.0.sparsity=0.6.")]
    [InlineData("sed=3",
        "--set sed=3: sed: unknown key. Did you mean 'seed'? "
            + "Valid keys: model, name, seed, device, calibration, stages, evaluate, export.")]
    [InlineData("seed=x", "--set seed=x: seed: 'x' is not a whole number.")]
    [InlineData("stages.5.sparsity=0.1",
        "--set stages.5.sparsity=0.1: 5: is not an index of this list of 2 items. Indices go from 0 to 1.")]
    [InlineData("seed.x=1", "--set seed.x=1: x: cannot be set: what holds it is the single value '7'.")]
    [InlineData("a..b=1", "--set a..b=1: a..b: is not a dotted path. Write for example --set stages.0.sparsity=0.6.")]
    [InlineData("stages.0.sparsity=[",
        "--set stages.0.sparsity=[: is not valid YAML: While parsing a node, did not find expected node content.")]
    public void A_wrong_override_is_named(string argument, string problem) => Assert.Equal(problem, Problems(Good, argument)[0]);

    [Theory]
    [InlineData("", "r.yaml:1:1: is empty.")]
    [InlineData("- a", "r.yaml:1:1: must be a mapping of keys to values. Write 'key: value' lines.")]
    [InlineData("model: a\nmodel: b", "r.yaml:2:1: model: is written twice; the first is on line 1. Remove one of them.")]
    [InlineData("model: a\n---\nmodel: b", "r.yaml:2:1: holds more than one YAML document. Remove everything from the second '---' on.")]
    [InlineData("model: !!python/object x",
        "r.yaml:1:8: has the type tag tag:yaml.org,2002:python/object. Remove it: types come from the keys.")]
    [InlineData("model: *a", "r.yaml:1:8: refers to *a, which is not defined before it.")]
    [InlineData("model: &a [*a]", "r.yaml:1:12: refers to *a, which is not defined before it.")]
    public void Broken_YAML_is_refused_with_its_place(string text, string problem) => Assert.Equal([problem], Problems(text));

    [Fact]
    public void Aliases_work_but_cannot_blow_up()
    {
        var recipe = Parse("model: &m tiny\ncalibration: { data: *m }");
        Assert.Equal("tiny", recipe.Calibration!.Data);
        var laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + string.Concat(Enumerable.Range(1, 20)
            .Select(i => $"a{i}: &a{i} [{string.Join(", ", Enumerable.Repeat($"*a{i - 1}", 10))}]\n"));
        Assert.Contains("holds more than 20000 values", Assert.Single(Problems(laughs)));
    }

    [Fact]
    public void Deep_nesting_and_long_texts_are_refused()
    {
        Assert.Contains("nests deeper than 32 levels", Assert.Single(Problems("a: " + new string('[', 100_000))));
        Assert.Contains("longer than the 256 KiB", Assert.Single(Problems("a: " + new string('x', 300_000))));
    }

    [Fact]
    public void A_mutated_recipe_either_binds_or_is_refused()
    {
        var random = new Random(5);
        const string Alphabet = "{}[]:,-&*!|>'\"%@`#?\n\t \\~0a\u0000\u2028";
        for (var i = 0; i < 2000; i++)
        {
            var text = Good.ToCharArray();
            for (var k = random.Next(1, 6); k > 0; k--) text[random.Next(text.Length)] = Alphabet[random.Next(Alphabet.Length)];
            try
            {
                Assert.NotNull(Parse(new string(text)));
            }
            catch (RecipeException e)
            {
                Assert.All(e.Problems, p => Assert.NotEmpty(p.Problem));
            }
        }
    }

    [Fact]
    public void A_missing_file_names_the_near_one()
    {
        var folder = Directory.CreateTempSubdirectory();
        try
        {
            File.WriteAllText(Path.Combine(folder.FullName, "quickstart.yaml"), "model: x");
            var e = Assert.Throws<RecipeException>(() =>
                RecipeFile.Load(Path.Combine(folder.FullName, "quikstart.yaml"), TestMethods.Catalogue));
            Assert.Equal("no such file.", e.Problem);
            Assert.Contains("quickstart.yaml", e.Suggestion);
            Assert.Contains("is a folder", Assert.Throws<RecipeException>(() => RecipeFile.Load(folder.FullName, TestMethods.Catalogue))
                .Problem);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Theory]
    [InlineData("*.mlp.*", "model.layers.3.mlp.down_proj", true)]
    [InlineData("*.mlp.*", "model.layers.3.self_attn.q_proj", false)]
    [InlineData("down_proj", "model.layers.3.mlp.down_proj", true)]
    [InlineData("model.layers.3", "model.layers.3.mlp.down_proj", true)]
    [InlineData("model.layers.3", "model.layers.30.mlp.down_proj", false)]
    [InlineData("model.layers.?.mlp.*", "model.layers.30.mlp.down_proj", false)]
    [InlineData("lm_head", "lm_head", true)]
    [InlineData("*", "anything", true)]
    [InlineData("", "anything", false)]
    [InlineData("*a*a*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false)]
    public void Site_patterns_match(string pattern, string name, bool matches) => Assert.Equal(matches, SitePattern.Matches(pattern, name));

    [Fact]
    public void A_broken_method_stops_with_its_type()
    {
        Assert.Contains(nameof(NoOptions), Assert.Throws<InvalidOperationException>(() => MethodCatalogue.OfTypes(typeof(NoOptions)))
            .Message);
        Assert.Contains("wanda is declared by",
            Assert.Throws<InvalidOperationException>(() => MethodCatalogue.OfTypes(typeof(TestWanda), typeof(TestWanda))).Message);
        Assert.Contains(nameof(NotAMethod), Assert.Throws<InvalidOperationException>(() => MethodCatalogue.OfTypes(typeof(NotAMethod)))
            .Message);
    }

    [Method("none", StageKind.Prune, Summary = "", Paper = "")]
    public sealed class NotAMethod;

    [Method("none", StageKind.Prune, Summary = "", Paper = "")]
    public abstract class NoOptions;
}
