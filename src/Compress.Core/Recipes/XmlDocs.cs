using System.Collections.Concurrent;
using System.Reflection;
using System.Text.RegularExpressions;
using System.Xml;
using System.Xml.Linq;

namespace Compress.Core.Recipes;

/// <summary>Reads the summaries of types, properties and enum values from the XML documentation shipped beside the assemblies.</summary>
public static partial class XmlDocs
{
    private static readonly ConcurrentDictionary<Assembly, IReadOnlyDictionary<string, string>> Known = new();

    /// <summary>A type's summary as plain text, or null where there is none.</summary>
    public static string? Of(Type type)
    {
        ArgumentNullException.ThrowIfNull(type);
        return Find(type.Assembly, "T:" + NameOf(type));
    }

    /// <summary>A property's summary as plain text, or null where there is none.</summary>
    public static string? Of(PropertyInfo property)
    {
        ArgumentNullException.ThrowIfNull(property);
        return Find(property.DeclaringType!.Assembly, $"P:{NameOf(property.DeclaringType)}.{property.Name}");
    }

    /// <summary>The summary of an enum's value, or null where there is none.</summary>
    /// <param name="type">The enum.</param>
    /// <param name="name">The value's C# name.</param>
    public static string? Of(Type type, string name)
    {
        ArgumentNullException.ThrowIfNull(type);
        return Find(type.Assembly, $"F:{NameOf(type)}.{name}");
    }

    private static string NameOf(Type type) => type.FullName!.Replace('+', '.');

    private static string? Find(Assembly assembly, string member) => Known.GetOrAdd(assembly, Read).GetValueOrDefault(member);

    private static Dictionary<string, string> Read(Assembly assembly)
    {
        var file = Path.Combine(AppContext.BaseDirectory, assembly.GetName().Name + ".xml");
        if (!File.Exists(file)) return [];
        try
        {
            return XDocument.Load(file).Descendants("member")
                .Where(m => m.Element("summary") is not null)
                .ToDictionary(m => (string)m.Attribute("name")!, m => Text(m.Element("summary")!));
        }
        catch (Exception e) when (e is XmlException or IOException)
        {
            // Documentation is a convenience; what it describes works without it.
            return [];
        }
    }

    private static string Text(XElement summary) => Spaces().Replace(string.Concat(summary.Nodes().Select(Text)), " ").Trim();

    private static string Text(XNode node) => node switch
    {
        XText text => text.Value,
        XElement { Name.LocalName: "c" } code => code.Value,
        XElement { Name.LocalName: "see" or "paramref" or "typeparamref" } see => Reference(see),
        XElement other => string.Concat(other.Nodes().Select(Text)),
        _ => "",
    };

    private static string Reference(XElement see)
    {
        if (((string?)see.Attribute("langword") ?? (string?)see.Attribute("name")) is { } word) return word;
        if (see.Value.Length > 0) return see.Value;
        var target = (string?)see.Attribute("cref") ?? (string?)see.Attribute("href") ?? "";
        var name = target[(target.LastIndexOf('.') + 1)..];
        // A property is a key to whoever reads a recipe.
        return target.StartsWith("P:", StringComparison.Ordinal) ? RecordShape.SnakeCase(name) : name;
    }

    [GeneratedRegex(@"\s+")]
    private static partial Regex Spaces();
}
