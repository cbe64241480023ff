using System.Globalization;
using System.Text.Json.Nodes;
using Compress.Core.Recipes.Yaml;

namespace Compress.Cli.Tests;

/// <summary>Checks YAML against the part of JSON schema that recipes' schema uses; independent of the binder.</summary>
internal static class SchemaChecker
{
    public static IReadOnlyList<string> Problems(JsonNode schema, string yaml) => Check(schema, ToJson(YamlReader.Read("yaml", yaml)), "$")
        .ToList();

    private static JsonNode? ToJson(YamlNode node) => node switch
    {
        YamlMapping mapping => new JsonObject(mapping.Entries.Select(e => KeyValuePair.Create(e.Key.Text, ToJson(e.Value)))),
        YamlSequence sequence => new JsonArray([.. sequence.Items.Select(ToJson)]),
        YamlScalar { IsNull: true } => null,
        YamlScalar { Quoted: false, Text: "true" or "false" } boolean => JsonValue.Create(boolean.Text == "true"),
        YamlScalar { Quoted: false } number when double.TryParse(number.Text, CultureInfo.InvariantCulture, out var value) =>
            JsonValue.Create(value),
        YamlScalar scalar => JsonValue.Create(scalar.Text),
        _ => throw new InvalidOperationException(),
    };

    private static IEnumerable<string> Check(JsonNode schema, JsonNode? value, string path)
    {
        if (schema["anyOf"] is JsonArray any && any.All(s => Check(s!, value, path).Any()))
            yield return $"{path}: fits none of {any.Count} forms";
        if (schema["const"] is { } constant && !JsonNode.DeepEquals(constant, value)) yield return $"{path}: is not {constant}";
        if (schema["enum"] is JsonArray list && !list.Any(c => JsonNode.DeepEquals(c, value)))
            yield return $"{path}: is none of {list.ToJsonString()}";
        if (schema["type"] is { } type && !HasType((string)type!, value)) yield return $"{path}: is not {type}";
        if (value is JsonValue v && v.TryGetValue<double>(out var number)
            && (number < (double?)schema["minimum"] || number > (double?)schema["maximum"]))
            yield return $"{path}: {number} is out of range";
        if (value is JsonArray items && schema["items"] is { } item)
            foreach (var problem in items.SelectMany((x, i) => Check(item, x, $"{path}[{i}]"))) yield return problem;
        if (value is not JsonObject record || schema["properties"] is not JsonObject properties) yield break;
        foreach (var required in schema["required"] as JsonArray ?? [])
            if (!record.ContainsKey((string)required!)) yield return $"{path}.{required}: is missing";
        foreach (var (key, child) in record)
        {
            if (properties[key] is { } known)
                foreach (var problem in Check(known, child, $"{path}.{key}")) yield return problem;
            else if (schema["additionalProperties"] is JsonValue) yield return $"{path}.{key}: is unknown";
        }
    }

    private static bool HasType(string type, JsonNode? value) => type switch
    {
        "object" => value is JsonObject,
        "array" => value is JsonArray,
        "null" => value is null,
        "string" => value is JsonValue s && s.TryGetValue<string>(out _),
        "boolean" => value is JsonValue b && b.TryGetValue<bool>(out _),
        "number" => value is JsonValue n && n.TryGetValue<double>(out _),
        "integer" => value is JsonValue i && i.TryGetValue<double>(out var number) && double.IsInteger(number),
        _ => throw new ArgumentOutOfRangeException(nameof(type)),
    };
}
