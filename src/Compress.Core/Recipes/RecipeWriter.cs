using System.Collections;
using System.Reflection;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace Compress.Core.Recipes;

/// <summary>Writes a recipe as YAML with every default filled in; reading the text gives the same recipe.</summary>
public static class RecipeWriter
{
    /// <summary>The YAML text of a bound record.</summary>
    /// <param name="recipe">A record of the kind that <see cref="RecipeBinder"/> binds.</param>
    public static string Write(object recipe)
    {
        ArgumentNullException.ThrowIfNull(recipe);
        using var text = new StringWriter { NewLine = "\n" };
        var emitter = new Emitter(text, new EmitterSettings(2, int.MaxValue, isCanonical: false, maxSimpleKeyLength: 1024));
        emitter.Emit(new StreamStart());
        emitter.Emit(new DocumentStart(null, null, isImplicit: true));
        Value(emitter, recipe, depth: 0);
        emitter.Emit(new DocumentEnd(isImplicit: true));
        emitter.Emit(new StreamEnd());
        return text.ToString();
    }

    private static void Value(Emitter emitter, object value, int depth)
    {
        switch (value)
        {
            case StageRecipe stage:
                Wrapped(emitter, ScalarBinder.Write(stage.Method.Attribute.Kind), KeysOf(stage));
                break;
            case var variant when VariantName(variant.GetType()) is { } name:
                Wrapped(emitter, name, KeysOf(value));
                break;
            case string or bool or Enum or int or long or double:
                emitter.Emit(ScalarOf(value));
                break;
            case IEnumerable items:
                emitter.Emit(new SequenceStart(default, default, isImplicit: true, depth > 1 ? SequenceStyle.Flow : SequenceStyle.Block));
                foreach (var item in items) Value(emitter, item, depth + 1);
                emitter.Emit(new SequenceEnd());
                break;
            case var parsable when ScalarBinder.Handles(parsable.GetType()):
                emitter.Emit(ScalarOf(parsable));
                break;
            default:
                Mapping(emitter, KeysOf(value), depth);
                break;
        }
    }

    private static void Wrapped(Emitter emitter, string name, IEnumerable<(string, object)> keys)
    {
        emitter.Emit(new MappingStart(default, default, isImplicit: true, MappingStyle.Block));
        emitter.Emit(Word(name));
        Mapping(emitter, keys, depth: 2);
        emitter.Emit(new MappingEnd());
    }

    private static void Mapping(Emitter emitter, IEnumerable<(string Name, object Value)> keys, int depth)
    {
        emitter.Emit(new MappingStart(default, default, isImplicit: true, depth > 0 ? MappingStyle.Flow : MappingStyle.Block));
        foreach (var (name, value) in keys)
        {
            emitter.Emit(Word(name));
            Value(emitter, value, depth + 1);
        }
        emitter.Emit(new MappingEnd());
    }

    /// <summary>Keys with values; absent values and empty lists are left out, which reads back as the same.</summary>
    private static IEnumerable<(string Name, object Value)> KeysOf(object record) => RecordShape.Of(record.GetType()).Keys
        .Select(k => (k.Name, Value: k.Property.GetValue(record)))
        .Where(k => k.Value is not null and not IReadOnlyCollection<object> { Count: 0 })
        .Select(k => (k.Name, k.Value!));

    private static IEnumerable<(string, object)> KeysOf(StageRecipe stage)
    {
        yield return ("method", stage.Method.Attribute.Name);
        foreach (var key in KeysOf(stage.Options)) yield return key;
        if (stage.Targets.Count > 0) yield return ("targets", stage.Targets);
        if (stage.Ignore.Count > 0) yield return ("ignore", stage.Ignore);
        if (stage.KeepSparsity) yield return ("keep", "sparsity");
    }

    private static string? VariantName(Type type) =>
        type.BaseType?.GetCustomAttributes<VariantAttribute>(inherit: false).FirstOrDefault(v => v.Type == type)?.Name;

    private static Scalar ScalarOf(object value)
    {
        var text = ScalarBinder.Write(value);
        // Only words that no reader takes for a number, a boolean or null stay bare.
        var quoted = value is not (bool or Enum or int or long or double) && !IsBareWord(text);
        return new Scalar(default, default, text, quoted ? ScalarStyle.DoubleQuoted : ScalarStyle.Plain, !quoted, quoted);
    }

    private static Scalar Word(string text) =>
        new(default, default, text, ScalarStyle.Plain, isPlainImplicit: true, isQuotedImplicit: false);

    private static bool IsBareWord(string text) =>
        text.Length > 0 && char.IsAsciiLetter(text[0]) && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-' or '.' or '/')
        && text.ToLowerInvariant() is not ("true" or "false" or "null" or "yes" or "no" or "on" or "off" or "y" or "n");
}
