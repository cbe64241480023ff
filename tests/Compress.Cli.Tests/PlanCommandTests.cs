using System.Text.Json.Nodes;
using Compress.Core.Recipes;
using Compress.Distill.Training;
using Compress.Testing;

namespace Compress.Cli.Tests;

public sealed class PlanCommandTests : IDisposable
{
    private readonly TinyModel tiny = new();

    public void Dispose() => tiny.Dispose();

    private string Recipe(string stages) =>
        tiny.Write("r.yaml", $"model: {tiny.Model}\ncalibration: {{ data: {tiny.Text}, samples: 8, length: 64 }}\nstages:\n{stages}");

    [Fact]
    public async Task A_plan_names_what_happens_to_each_site()
    {
        var recipe = Recipe("  - prune: { method: wanda, pattern: \"2:4\", ignore: [o_proj] }");
        var result = await Cli.RunAsync("plan", recipe, "--json");
        Assert.Equal("", result.Error);
        Assert.Equal(0, result.Code);
        var sites = ((JsonArray)result.Json["sites"]!).ToDictionary(s => (string)s!["site"]!, s => s!);
        Assert.Equal("prune wanda 50 %", (string)sites["model.layers.0.mlp.up_proj"]["actions"]![0]!);
        Assert.Empty((JsonArray)sites["model.layers.0.self_attn.o_proj"]["actions"]!);
        Assert.Empty((JsonArray)sites["lm_head"]["actions"]!);
        Assert.Equal(12, (int)result.Json["stages"]![0]!["sites"]!);
        Assert.Equal(512, (long)result.Json["calibration_tokens"]!);
        Assert.Contains("Nothing is exported", result.Json["remarks"]!.ToJsonString());
        Assert.True((double)result.Json["time"]!["stages"]![0]! > 0 && (double)result.Json["time"]!["seconds"]! > 0);
        Assert.Contains("\ntime: about ", (await Cli.RunAsync("plan", recipe)).Output);
    }

    [Fact]
    public async Task A_recipe_that_does_not_fit_is_refused_with_every_problem()
    {
        var recipe = Recipe("  - prune: { method: wanda, pattern: \"3:7\" }\n"
            + "  - prune: { method: wanda, sparsity: 0.5, targets: [up_prj] }");
        var before = tiny.Files();
        var result = await Cli.RunAsync("plan", recipe, "--json");
        Assert.Equal(ExitCode.RecipeWrong, result.Code);
        var problems = (JsonArray)result.Json["error"]!["problems"]!;
        Assert.Contains(problems, p => (int)p!["line"]! == 4 && ((string)p["problem"]!).Contains("divisible by 7"));
        Assert.Contains(problems, p => (int)p!["line"]! == 5 && ((string)p["suggestion"]!).Contains("'up_proj'"));
        Assert.Contains("r.yaml:4:5: stages.0.prune: ", result.Error);
        Assert.Equal(before, tiny.Files());
    }

    [Theory]
    [InlineData("a: [", "is not valid YAML")]
    [InlineData("model: [1, 2", "is not valid YAML")]
    [InlineData("", "is empty")]
    [InlineData("mdoel: x", "Did you mean 'model'?")]
    [InlineData("\"\\e[31mx\": 1", "unknown key")]
    public async Task A_broken_recipe_is_explained_without_a_stack_trace(string text, string message)
    {
        var result = await Cli.RunAsync("plan", tiny.Write("b.yaml", text));
        Assert.Equal(ExitCode.RecipeWrong, result.Code);
        Assert.Contains(message, result.Error);
        Assert.DoesNotContain("   at ", result.Error);
        Assert.DoesNotContain('\u001b', result.Error);
        Assert.Empty(result.Output);
    }

    [Fact]
    public async Task A_missing_recipe_is_explained()
    {
        var result = await Cli.RunAsync("plan", "recipes/quikstart.yaml");
        Assert.Equal(ExitCode.RecipeWrong, result.Code);
        Assert.StartsWith("recipes/quikstart.yaml: no such file.", result.Error);
    }

    [Fact]
    public async Task Every_recipe_of_the_repository_fits_the_schema_and_binds()
    {
        var files = Directory.GetFiles(Path.Combine(SharedData.Repository, "recipes"), "*.yaml");
        Assert.NotEmpty(files);
        foreach (var file in files)
        {
            var train = Path.GetFileName(file).StartsWith("train", StringComparison.Ordinal);
            var schema = (await Cli.RunAsync("schema", train ? "train" : "run")).Output;
            Assert.Empty(SchemaChecker.Problems(JsonNode.Parse(schema)!, File.ReadAllText(file)));
            if (train) RecipeBinder.Load<TrainingRecipe>(file);
            else RecipeFile.Load(file, Installed.Methods);
        }
    }

    [Theory]
    [InlineData("model: x\nseed: 1.5", "$.seed")]
    [InlineData("model: x\nsed: 1", "$.sed")]
    [InlineData("seed: 1", "$.model")]
    [InlineData("model: x\nstages: [{ prune: { method: wanda, sparsity: 2 } }]", "$.stages[0]")]
    [InlineData("model: x\nexport: [{ format: ggu, to: x }]", "$.export[0].format")]
    public async Task The_schema_refuses_what_the_binder_refuses(string text, string path)
    {
        Assert.Throws<RecipeException>(() => RecipeFile.Parse("r.yaml", text, Installed.Methods));
        var schema = (await Cli.RunAsync("schema")).Output;
        Assert.Contains(SchemaChecker.Problems(JsonNode.Parse(schema)!, text), p => p.StartsWith(path, StringComparison.Ordinal));
    }
}
