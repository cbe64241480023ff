using Compress.Core.Recipes;

namespace Compress.Core.Tests.Recipes;

public sealed class RecipeWriterTests
{
    private const string Text = """
        model: models/tiny
        calibration: { data: calib.txt, samples: 32, length: 512 }
        stages:
          - prune: { method: wanda, sparsity: 0.5, pattern: "2:4", ignore: [lm_head, "*.mlp.*"] }
          - quantize: { method: gptq, bits: 3, group_size: 64, damping: 1e-3, keep: sparsity }
        evaluate:
          - perplexity: { data: "held out.txt" }
          - divergence:
        export:
          - { format: hf, to: model }
        """;

    [Fact]
    public void A_recipe_is_written_with_its_defaults() => Assert.Equal("""
        model: models/tiny
        seed: 0
        device: auto
        calibration: {data: calib.txt, samples: 32, length: 512, batch_size: 4, precision: auto}
        stages:
        - prune: {method: wanda, sparsity: 0.5, pattern: "2:4", ignore: [lm_head, "*.mlp.*"]}
        - quantize: {method: gptq, bits: 3, group_size: 64, activation_order: false, damping: 0.001, flavour: min_max, keep: sparsity}
        evaluate:
        - perplexity: {data: "held out.txt", protocol: gptq, engine: torch}
        - divergence: {against: original}
        export:
        - {format: hf, to: model}

        """, RecipeWriter.Write(RecipeFile.Parse("r.yaml", Text, TestMethods.Catalogue).Value));

    [Theory]
    [InlineData("true")]
    [InlineData("null")]
    [InlineData("~")]
    [InlineData("")]
    [InlineData("12")]
    [InlineData("1e5")]
    [InlineData("- a")]
    [InlineData("a: b # c")]
    [InlineData("{a, b}")]
    [InlineData("tab\tand \"quotes\" and 'more' \\ and é \u2028 日本")]
    [InlineData(" leading and trailing ")]
    public void Awkward_texts_survive(string name)
    {
        var recipe = new Recipe { Model = name, Name = name, Export = [new ExportRecipe { Format = "hf", To = name }] };
        var back = RecipeFile.Parse("r.yaml", RecipeWriter.Write(recipe), TestMethods.Catalogue).Value;
        Assert.Equal((name, name, name), (back.Model, back.Name, back.Export[0].To));
    }

    [Fact]
    public void Reading_what_was_written_gives_the_same_text()
    {
        var once = RecipeWriter.Write(RecipeFile.Parse("r.yaml", Text, TestMethods.Catalogue).Value);
        Assert.Equal(once, RecipeWriter.Write(RecipeFile.Parse("r.yaml", once, TestMethods.Catalogue).Value));
    }
}
