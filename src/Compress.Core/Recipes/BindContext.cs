using System.Collections;
using System.Globalization;
using System.Reflection;
using Compress.Core.Recipes.Yaml;

namespace Compress.Core.Recipes;

/// <summary>Binds one kind of type in its own way, where a record's keys do not say it all.</summary>
public interface INodeBinder
{
    /// <summary>The type it binds.</summary>
    Type Target { get; }

    /// <summary>Binds a node.</summary>
    /// <param name="node">What was written.</param>
    /// <param name="path">Its dotted path.</param>
    /// <param name="context">Takes problems and binds parts.</param>
    /// <returns>The value; null after a problem was reported.</returns>
    object? Bind(YamlNode node, string path, BindContext context);
}

/// <summary>One binding in progress: gathers problems and the places of keys.</summary>
/// <param name="binders">Binders for types with a syntax of their own.</param>
public sealed class BindContext(IReadOnlyList<INodeBinder> binders)
{
    private readonly List<RecipeProblem> problems = [];
    private readonly Dictionary<string, Mark> marks = [];

    /// <summary>What was found wrong so far.</summary>
    public IReadOnlyList<RecipeProblem> Problems => problems;

    /// <summary>Where each key that was read begins, by dotted path.</summary>
    public IReadOnlyDictionary<string, Mark> Marks => marks;

    /// <summary>Adds a problem.</summary>
    /// <param name="at">The offending part.</param>
    /// <param name="path">Its dotted path.</param>
    /// <param name="problem">What is wrong.</param>
    /// <param name="suggestion">What to write instead, or null.</param>
    public void Report(Mark at, string path, string problem, string? suggestion = null) =>
        problems.Add(new RecipeProblem(at.File, at.Line, at.Column, path, problem, suggestion));

    /// <summary>Remembers where a key was written, for problems found later.</summary>
    public void Locate(string path, Mark at) => marks[path] = at;

    /// <summary>Binds a node to a type.</summary>
    /// <param name="type">Scalar, enum, list or record.</param>
    /// <param name="node">What was written.</param>
    /// <param name="path">Its dotted path.</param>
    /// <param name="key">The key that holds it, for bounds; null for the whole recipe.</param>
    /// <returns>The value; null after a problem was reported.</returns>
    public object? Bind(Type type, YamlNode node, string path, RecipeKey? key = null)
    {
        ArgumentNullException.ThrowIfNull(type);
        ArgumentNullException.ThrowIfNull(node);
        Locate(path, node.Mark);
        if (binders.FirstOrDefault(b => b.Target == type) is { } own) return own.Bind(node, path, this);
        if (ElementType(type) is { } element) return BindList(element, node, path, key);
        if (ScalarBinder.Handles(type)) return BindScalar(type, node, path, key);
        var variants = type.GetCustomAttributes<VariantAttribute>(inherit: false).ToList();
        return variants.Count > 0 ? BindVariant(variants, node, path) : BindRecord(type, node, path);
    }

    /// <summary>Binds a mapping to a new record.</summary>
    /// <param name="type">The record.</param>
    /// <param name="node">What was written.</param>
    /// <param name="path">Its dotted path.</param>
    /// <param name="otherKeys">Keys that are valid here but bound by the caller.</param>
    /// <returns>The record; null after a problem was reported.</returns>
    public object? BindRecord(Type type, YamlNode node, string path, IReadOnlyList<string>? otherKeys = null)
    {
        if (node is not YamlMapping mapping)
        {
            Report(node.Mark, path, $"must be a mapping of keys, not {Describe(node)}.",
                $"Keys: {string.Join(", ", KeysOf(type, otherKeys))}.");
            return null;
        }
        var before = problems.Count;
        var shape = RecordShape.Of(type);
        var record = Activator.CreateInstance(type)!;
        foreach (var entry in mapping.Entries)
        {
            var name = entry.Key.Text;
            if (otherKeys?.Contains(name) == true) continue;
            var key = shape.Keys.FirstOrDefault(k => k.Name == name);
            if (key is null)
                Report(entry.Key.Mark, Join(path, name), "unknown key.", NearestName.Suggestion(name, KeysOf(type, otherKeys), "keys"));
            else
                BindKey(record, key, entry, Join(path, name));
        }
        foreach (var key in shape.Keys.Where(k => k.Required && mapping[k.Name] is null))
            Report(mapping.Mark, Join(path, key.Name), "is required and missing.", $"Give {key.Expected}.");
        return problems.Count == before ? record : null;
    }

    /// <summary>The single key of <c>- key: { … }</c>, or null after a problem was reported.</summary>
    /// <param name="node">What was written.</param>
    /// <param name="path">Its dotted path.</param>
    /// <param name="names">The keys that are valid.</param>
    public YamlEntry? SingleKey(YamlNode node, string path, IReadOnlyList<string> names)
    {
        if (node is not YamlMapping { Entries.Count: > 0 } item)
        {
            Report(node.Mark, path, $"must be one of the forms '{names[0]}: {{ … }}', not {Describe(node)}.",
                $"Valid forms: {string.Join(", ", names)}.");
            return null;
        }
        var only = item.Entries[0];
        if (!names.Contains(only.Key.Text))
        {
            Report(only.Key.Mark, Join(path, only.Key.Text), "unknown key.", NearestName.Suggestion(only.Key.Text, names, "keys"));
            return null;
        }
        if (item.Entries.Count == 1) return only;
        var other = item.Entries[1].Key;
        Report(other.Mark, Join(path, other.Text), $"stands beside '{only.Key.Text}' in one list item.",
            $"Begin a new item with '- {other.Text}:', or indent it to belong to '{only.Key.Text}'.");
        return null;
    }

    /// <summary>A dotted path.</summary>
    public static string Join(string path, string key) => path.Length == 0 ? key : $"{path}.{key}";

    /// <summary>The element type where a type is a list, else null.</summary>
    internal static Type? ElementType(Type type) =>
        type.IsGenericType && type.GetGenericTypeDefinition() == typeof(IReadOnlyList<>) ? type.GetGenericArguments()[0] : null;

    private void BindKey(object record, RecipeKey key, YamlEntry entry, string path)
    {
        if (entry.Value is YamlScalar { IsNull: true } empty)
        {
            Locate(path, entry.Key.Mark);
            if (key.Nullable) key.Property.SetValue(record, null);
            else Report(empty.Mark, path, $"has no value; {key.Expected} was expected.");
            return;
        }
        if (Bind(key.Type, entry.Value, path, key) is { } value) key.Property.SetValue(record, value);
    }

    private object? BindVariant(List<VariantAttribute> variants, YamlNode node, string path)
    {
        if (SingleKey(node, path, [.. variants.Select(v => v.Name)]) is not { } entry) return null;
        var variant = variants.First(v => v.Name == entry.Key.Text);
        // "- divergence:" alone takes every default.
        var value = entry.Value is YamlScalar { IsNull: true } ? new YamlMapping(entry.Key.Mark, []) : entry.Value;
        return Bind(variant.Type, value, Join(path, variant.Name));
    }

    private IList? BindList(Type element, YamlNode node, string path, RecipeKey? key)
    {
        if (node is not YamlSequence sequence)
        {
            Report(node.Mark, path, $"must be a list, not {Describe(node)}.",
                node is YamlScalar s ? $"Write [{ScalarBinder.Shorten(s.Text)}]." : "Write '- ' before each item.");
            return null;
        }
        var list = (IList)Activator.CreateInstance(typeof(List<>).MakeGenericType(element))!;
        var before = problems.Count;
        for (var i = 0; i < sequence.Items.Count; i++)
        {
            if (Bind(element, sequence.Items[i], Join(path, i.ToString(CultureInfo.InvariantCulture)), key) is { } value) list.Add(value);
        }
        return problems.Count == before ? list : null;
    }

    private object? BindScalar(Type type, YamlNode node, string path, RecipeKey? key)
    {
        if (node is not YamlScalar scalar)
        {
            Report(node.Mark, path, $"must be {ScalarBinder.Expected(type, key)}, not {Describe(node)}.");
            return null;
        }
        var (value, problem, suggestion) = ScalarBinder.Bind(type, scalar, key);
        if (problem is not null) Report(node.Mark, path, problem, suggestion);
        return value;
    }

    private static List<string> KeysOf(Type type, IReadOnlyList<string>? otherKeys) =>
        [.. otherKeys ?? [], .. RecordShape.Of(type).Keys.Select(k => k.Name)];

    private static string Describe(YamlNode node) => node switch
    {
        YamlScalar { IsNull: true } => "empty",
        YamlScalar scalar => $"the single value '{ScalarBinder.Shorten(scalar.Text)}'",
        YamlSequence => "a list",
        _ => "a mapping of keys",
    };
}
