using Compress.Core.Recipes;
using Compress.Formats.Architectures;

namespace Compress.Core.Tests.Recipes;

public sealed class RecipeValidatorTests
{
    private static ModelSpec Model(bool tied = false) =>
        SyntheticModel.Llama(hidden: 64, mlp: 96, layers: 2, heads: 4, keyValueHeads: 2, vocabulary: 128, maxPositions: 256, tied: tied)
            .Spec;

    private static Bound<Recipe> Bind(string text) => RecipeFile.Parse("r.yaml", text, TestMethods.Catalogue);

    private static string[] Against(string text, bool tied = false) =>
        [.. RecipeValidator.AgainstModel(Bind(text), Model(tied)).Select(p => p.ToString())];

    private static string[] Without(string text) => [.. RecipeValidator.WithoutModel(Bind(text)).Select(p => p.ToString())];

    [Fact]
    public void A_group_size_that_does_not_fit_names_sites_and_place() => Assert.Equal(
        [
            "r.yaml:3:5: stages.0.quantize: model.layers.0.mlp.down_proj, model.layers.1.mlp.down_proj: "
                + "group_size 64 does not divide its 96 columns.",
        ],
        Against("model: m\nstages:\n  - quantize: { method: gptq, group_size: 64 }"));

    [Theory]
    [InlineData("targets: [down_prj]",
        "r.yaml:3:54: stages.0.prune.targets.0: 'down_prj' matches no site of the model. Did you mean 'down_proj'")]
    [InlineData("targets: ['*.mpl.*']",
        "r.yaml:3:54: stages.0.prune.targets.0: '*.mpl.*' matches no site of the model. Did you mean 'mlp'?")]
    [InlineData("ignore: [model.layers.7]",
        "r.yaml:3:53: stages.0.prune.ignore.0: 'model.layers.7' matches no site of the model. Sites are named like")]
    [InlineData("ignore: ['*']",
        "r.yaml:3:52: stages.0.prune.ignore: leaves no site for this stage. Ignore fewer sites, or leave the stage out.")]
    public void Patterns_that_select_nothing_are_refused(string keys, string problem) => Assert.StartsWith(problem,
        Assert.Single(Against($"model: m\nstages:\n  - prune: {{ method: wanda, sparsity: 0.5, {keys} }}")));

    [Fact]
    public void The_head_may_be_ignored_in_every_family() =>
        Assert.Empty(Against("model: m\nstages:\n  - prune: { method: wanda, sparsity: 0.5, ignore: [lm_head] }"));

    [Fact]
    public void Stages_that_undo_each_other_are_refused() => Assert.Equal(
        [
            "r.yaml:4:5: stages.1.prune: stage 1 already quantizes model.layers.0.self_attn.q_proj, model.layers.0.self_attn.k_proj, "
                + "model.layers.0.self_attn.v_proj and 11 more. Prune before quantizing.",
            "r.yaml:5:5: stages.2.quantize: stage 1 already quantizes model.layers.0.self_attn.q_proj, model.layers.1.self_attn.q_proj. "
                + "Give the two stages different targets.",
        ],
        Against("""
            model: m
            stages:
              - quantize: { method: rtn }
              - prune: { method: wanda, sparsity: 0.5 }
              - quantize: { method: rtn, targets: [q_proj] }
            """));

    [Fact]
    public void A_tied_table_is_never_compressed_and_a_table_never_calibrated()
    {
        foreach (var target in new[] { "embed_tokens", "lm_head" })
            Assert.Contains("are one tensor",
                Assert.Single(Against($"model: m\nstages: [{{ quantize: {{ method: rtn, targets: [{target}] }} }}]", tied: true)));
        Assert.Empty(Against("model: m\nstages: [{ quantize: { method: rtn, targets: [embed_tokens, lm_head] } }]"));
        Assert.Contains("cannot be calibrated", Assert.Single(
            Against("model: m\nstages: [{ quantize: { method: gptq, group_size: 32, targets: [embed_tokens] } }]")));
    }

    [Fact]
    public void Windows_longer_than_the_context_are_refused() => Assert.Equal(
        [
            "r.yaml:2:33: calibration.length: 300 tokens exceed the model's context of 256.",
            "r.yaml:4:36: evaluate.0.perplexity.window: 512 tokens exceed the model's context of 256.",
        ],
        Against("model: m\ncalibration: { data: c, length: 300 }\nevaluate:\n  - perplexity: { data: d, window: 512 }"));

    [Fact]
    public void What_needs_no_model_is_found_without_one() => Assert.Equal(
        [
            "r.yaml:1:8: model: there is no 'no/such'. Give the folder of a model; it is not downloaded for you.",
            "r.yaml:2:7: name: '../up' is not a folder name. Use letters, digits, '-' and '_'.",
            "r.yaml:4:25: stages.0.quantize.method: gptq needs calibration data, and the recipe has none. "
                + "Add 'calibration: { data: text.txt }'.",
            "r.yaml:7:25: evaluate.0.perplexity.data: there is no file 'absent.txt'. "
                + "Paths start at the current folder, then at the recipe's.",
            "r.yaml:7:47: evaluate.0.perplexity.protocol: unknown protocol 'gpt'. Did you mean 'gptq'? Valid protocols: "
                + "gptq, gptq_no_bos, llama_cpp, llama_cpp_no_bos, documents.",
            "r.yaml:9:23: export.0.to: '../elsewhere' is not a folder inside the run folder. Write for example 'model'.",
            "r.yaml:11:23: export.2.to: 'model' is the folder of an earlier export. Give each export its own folder.",
        ],
        Without("""
            model: no/such
            name: ../up
            stages:
              - quantize: { method: gptq }
              - quantize: { method: rtn }
            evaluate:
              - perplexity: { data: absent.txt, protocol: gpt }
            export:
              - { format: hf, to: ../elsewhere }
              - { format: hf, to: model }
              - { format: hf, to: model }
            """));

    [Fact]
    public void A_format_that_cannot_express_the_result_is_refused()
    {
        const string Export = "\nexport: [{ format: compressed-tensors, to: x }]";
        Assert.Equal("r.yaml:2:20: export.0.format: compressed-tensors packs quantized weights, and no stage quantizes. Use hf.",
            Assert.Single(Against("model: m" + Export)));
        Assert.Contains("compressed-tensors needs groups that divide the 64 columns; 36 does not.",
            Against("model: m\nstages: [{ quantize: { method: rtn } }]" + Export)[0]);
        Assert.Empty(Against("model: m\nstages: [{ quantize: { method: gptq, group_size: 32 } }]" + Export));
    }

    [Fact]
    public void Divergence_needs_tokens() => Assert.Contains(
        "evaluate.0.divergence: divergence is measured over the tokens of a perplexity entry",
            Without("model: .\nevaluate: [{ divergence: }]")[0]);

    [Fact]
    public void The_engine_needs_an_export_to_run()
    {
        const string Recipe = "model: .\nevaluate: [{ speed: }, { perplexity: { data: ., engine: runtime, export: modl } }, "
            + "{ perplexity: { data: ., export: model } }]\n";
        var none = string.Join('\n', Without(Recipe));
        Assert.Contains("evaluate.0.speed: the engine in C# runs an exported checkpoint, and the recipe exports none.", none);
        Assert.Contains("evaluate.1.perplexity: the engine in C# runs an exported checkpoint", none);
        Assert.Contains("evaluate.2.perplexity.export: is for the engine in C#. Add 'engine: runtime'.", none);
        Assert.Contains("evaluate.1.perplexity.export: there is no export 'modl'. Did you mean 'model'?",
            string.Join('\n', Without(Recipe + "export: [{ format: hf, to: model }]")));
        Assert.Contains("evaluate.0.speed.prompt: 300 tokens exceed the model's context of 256.",
            Assert.Single(Against("model: m\nevaluate: [{ speed: { prompt: 300 } }]")));
    }
}
