using System.Text.Json;
using System.Text.Json.Nodes;
using Compress.Formats.Tokenizers;
using Compress.Testing;

namespace Compress.Formats.Tests.Tokenizers;

/// <summary>Small tokenizers that differ in one component each, against Hugging Face's own library (golden/make_components.js).</summary>
public class ComponentTests
{
    static readonly JsonDocument Golden = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(
        SharedData.Repository, "tests", "Compress.Formats.Tests", "Tokenizers", "golden", "components.json")));

    public static TheoryData<string> Names =>
        [.. Golden.RootElement.GetProperty("cases").EnumerateArray().Select(c => c.GetProperty("name").GetString()!)];

    [Theory]
    [MemberData(nameof(Names))]
    public void A_component_does_what_the_library_does(string name)
    {
        var root = Golden.RootElement;
        var item = root.GetProperty("cases").EnumerateArray().Single(c => c.GetProperty("name").GetString() == name);
        var tokenizer = Load(root.GetProperty("bases").GetProperty(item.GetProperty("base").GetString()!), item.GetProperty("change"));
        var texts = root.GetProperty("texts").EnumerateArray().Select(t => t.GetString()!);
        foreach (var (text, result) in texts.Zip(item.GetProperty("results").EnumerateArray()))
        {
            int[] ids = [.. result[0].EnumerateArray().Select(i => i.GetInt32())];
            Assert.True(ids.AsSpan().SequenceEqual(tokenizer.Encode(text)),
                $"'{text}': {string.Join(' ', tokenizer.Encode(text))} instead of {string.Join(' ', ids)}");
            Assert.Equal(result[1].GetString(), tokenizer.Decode(ids));
        }
    }

    static Tokenizer Load(JsonElement original, JsonElement change)
    {
        var json = JsonObject.Create(original.Clone())!;
        foreach (var member in change.EnumerateObject()) json[member.Name] = JsonNode.Parse(member.Value.GetRawText());
        using var folder = new TemporaryFolder();
        File.WriteAllText(Path.Combine(folder.Path, "tokenizer.json"), json.ToJsonString());
        return Tokenizer.Load(folder.Path);
    }
}
