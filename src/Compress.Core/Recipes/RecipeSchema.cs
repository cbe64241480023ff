using System.Reflection;
using System.Text.Json.Nodes;
using Compress.Core.Methods;
using MethodInfo = Compress.Core.Methods.MethodInfo;

namespace Compress.Core.Recipes;

/// <summary>JSON schema (draft 2020-12) of recipes, for editors: keys, docs, defaults and bounds come from the records alone.</summary>
public static class RecipeSchema
{
    /// <summary>The schema of a recipe record.</summary>
    /// <param name="recipe">A record of the kind that <see cref="RecipeBinder"/> binds.</param>
    /// <param name="catalogue">Methods that stages may name.</param>
    public static JsonObject Of(Type recipe, MethodCatalogue catalogue)
    {
        var schema = new JsonObject
        {
            ["$schema"] = "https://json-schema.org/draft/2020-12/schema",
            ["title"] = $"Compress {RecordShape.SnakeCase(recipe.Name).Replace('_', ' ')}",
        };
        foreach (var (name, value) in Record(recipe, catalogue).ToList())
        {
            schema[name] = value?.DeepClone();
        }
        return schema;
    }

    private static JsonObject Schema(Type type, MethodCatalogue catalogue)
    {
        if (type == typeof(StageRecipe)) return Stage(catalogue);
        if (BindContext.ElementType(type) is { } element)
            return new JsonObject { ["type"] = "array", ["items"] = Schema(element, catalogue) };
        if (ScalarBinder.Handles(type)) return Scalar(type);
        var variants = type.GetCustomAttributes<VariantAttribute>(inherit: false).ToList();
        if (variants.Count == 0) return Record(type, catalogue);
        var forms = variants.Select(v => Wrapper(v.Name, Nullable(Record(v.Type, catalogue)), XmlDocs.Of(v.Type)));
        return Documented(new JsonObject { ["anyOf"] = new JsonArray([.. forms]) }, XmlDocs.Of(type));
    }

    private static JsonObject Record(Type type, MethodCatalogue catalogue) =>
        Documented(Object(RecordShape.Of(type).Keys, catalogue), XmlDocs.Of(type));

    private static JsonObject Object(IReadOnlyList<RecipeKey> keys, MethodCatalogue catalogue)
    {
        var properties = new JsonObject();
        foreach (var key in keys) properties[key.Name] = Key(key, catalogue);
        var schema = new JsonObject { ["type"] = "object", ["properties"] = properties, ["additionalProperties"] = false };
        var required = keys.Where(k => k.Required).Select(k => (JsonNode)k.Name).ToArray();
        if (required.Length > 0) schema["required"] = new JsonArray(required);
        return schema;
    }

    private static JsonObject Key(RecipeKey key, MethodCatalogue catalogue)
    {
        var schema = Schema(key.Type, catalogue);
        if (key.Bounds is { } bounds)
        {
            schema["minimum"] = Number(bounds.Minimum);
            schema["maximum"] = Number(bounds.Maximum);
        }
        if (key.Allowed is { } allowed) schema["enum"] = new JsonArray([.. allowed.Select(a => (JsonNode)a)]);
        if (key.Nullable) schema = Nullable(schema);
        if (Default(key.Default) is { } value) schema["default"] = value;
        return Documented(schema, XmlDocs.Of(key.Property));
    }

    private static JsonObject Stage(MethodCatalogue catalogue)
    {
        var kinds = Enum.GetValues<StageKind>().Select(kind => Wrapper(
            RecordShape.SnakeCase(kind.ToString()),
            new JsonObject { ["anyOf"] = new JsonArray([.. catalogue.Of(kind).Select(m => Method(m, catalogue))]) },
            null));
        return Documented(new JsonObject { ["anyOf"] = new JsonArray([.. kinds]) }, XmlDocs.Of(typeof(StageRecipe)));
    }

    private static JsonObject Method(MethodInfo method, MethodCatalogue catalogue)
    {
        var stage = RecordShape.Of(typeof(StageRecipe)).Keys;
        JsonObject Patterns(string name) => Key(stage.First(k => k.Name == name), catalogue);
        var schema = Object(RecordShape.Of(method.OptionsType).Keys, catalogue);
        var properties = (JsonObject)schema["properties"]!;
        properties.Insert(0, "method", new JsonObject { ["const"] = method.Attribute.Name, ["description"] = method.Attribute.Summary });
        properties["targets"] = Patterns("targets");
        properties["ignore"] = Patterns("ignore");
        properties["keep"] = new JsonObject
        {
            ["const"] = "sparsity",
            ["description"] = XmlDocs.Of(stage.First(k => k.Property.Name == nameof(StageRecipe.KeepSparsity)).Property),
        };
        var required = schema["required"] as JsonArray ?? [];
        if (!method.Attribute.IsDefault) required.Insert(0, "method");
        schema["required"] = required;
        return Documented(schema, $"{method.Attribute.Summary} {method.Attribute.Paper}");
    }

    private static JsonObject Wrapper(string name, JsonObject value, string? docs) => Documented(
        new JsonObject
        {
            ["type"] = "object",
            ["properties"] = new JsonObject { [name] = value },
            ["required"] = new JsonArray(name),
            ["additionalProperties"] = false,
        },
        docs);

    private static JsonObject Scalar(Type type)
    {
        if (type == typeof(bool)) return new JsonObject { ["type"] = "boolean" };
        if (type == typeof(int) || type == typeof(long)) return new JsonObject { ["type"] = "integer" };
        if (type == typeof(double)) return new JsonObject { ["type"] = "number" };
        if (!type.IsEnum) return new JsonObject { ["type"] = "string" };
        var choices = Enum.GetNames(type).Select(n => (JsonNode)Documented(
            new JsonObject { ["const"] = RecordShape.SnakeCase(n) }, XmlDocs.Of(type, n)));
        return new JsonObject { ["anyOf"] = new JsonArray([.. choices]) };
    }

    private static JsonObject Nullable(JsonObject schema) =>
        new() { ["anyOf"] = new JsonArray(schema, new JsonObject { ["type"] = "null" }) };

    private static JsonValue? Default(object? value) => value switch
    {
        bool b => JsonValue.Create(b),
        int i => JsonValue.Create(i),
        long l => JsonValue.Create(l),
        double d => Number(d),
        not null when ScalarBinder.Handles(value.GetType()) => JsonValue.Create(ScalarBinder.Write(value)),
        _ => null,
    };

    /// <summary>Whole numbers without a decimal point, as a person would write them.</summary>
    private static JsonValue Number(double value) =>
        double.IsInteger(value) && Math.Abs(value) < 1e15 ? JsonValue.Create((long)value) : JsonValue.Create(value);

    private static JsonObject Documented(JsonObject schema, string? docs)
    {
        if (docs is not null) schema["description"] = docs;
        return schema;
    }
}
