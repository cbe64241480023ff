using System.Text.Json.Nodes;
using Compress.Core.Recipes;

namespace Compress.Core.Tests.Recipes;

public sealed class RecipeSchemaTests
{
    private static JsonObject Schema { get; } = RecipeSchema.Of(typeof(Recipe), TestMethods.Catalogue);

    private static JsonNode At(string path) =>
        path.Split('/').Aggregate((JsonNode)Schema, (node, step) => node is JsonArray a ? a[int.Parse(step)]! : node[step]!);

    [Fact]
    public void Keys_carry_type_bounds_default_and_docs()
    {
        Assert.Equal("""{"type":"integer","default":0,"description":"Seed of everything random."}""", At("properties/seed").ToJsonString());
        Assert.Equal(["model"], ((JsonArray)At("required")).Select(n => (string)n!));
        Assert.Equal("""{"type":"integer","minimum":1,"maximum":1000000,"default":128,"description":"Number of windows."}""",
            At("properties/calibration/anyOf/0/properties/samples").ToJsonString());
        Assert.Equal("""{"const":"cpu","description":"The CPU."}""", At("properties/device/anyOf/1").ToJsonString());
        Assert.Equal("""["hf","compressed-tensors","gptq","awq","gguf","compress"]""", At("properties/export/items/properties/format/enum").ToJsonString());
    }

    [Fact]
    public void A_stage_lists_the_options_of_each_method()
    {
        var gptq = At("properties/stages/items/anyOf/1/properties/quantize/anyOf/0");
        Assert.Equal("gptq", (string)gptq["properties"]!["method"]!["const"]!);
        Assert.Equal(["method", "bits", "group_size", "activation_order", "damping", "flavour", "targets", "ignore", "keep"],
            ((JsonObject)gptq["properties"]!).Select(p => p.Key));
        Assert.Equal(["method", "sparsity"],
            ((JsonArray)At("properties/stages/items/anyOf/0/properties/prune/anyOf/0/required")).Select(n => (string)n!));
    }
}
