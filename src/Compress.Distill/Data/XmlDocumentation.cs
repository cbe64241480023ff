using System.Text;
using System.Xml;
using System.Xml.Linq;
using Compress.Formats;

namespace Compress.Distill.Data;

/// <summary>One documented member: its identifier and its documentation as plain paragraphs, each with the label of its section.</summary>
/// <param name="Id">Identifier as in the file, for instance <c>M:System.String.Trim</c>.</param>
/// <param name="Paragraphs">Paragraphs in the order in which they appear in the file.</param>
public sealed record DocumentedMember(string Id, IReadOnlyList<DocumentedParagraph> Paragraphs);

/// <summary>A paragraph of a member's documentation.</summary>
/// <param name="Label">Parameter or exception name, or <c>Returns</c>; empty for summary, remarks and value.</param>
/// <param name="Text">The text as written, markup resolved, whitespace not yet normalised.</param>
public readonly record struct DocumentedParagraph(string Label, string Text);

/// <summary>Reads XML documentation files (C# language specification, annex D) as plain text, one member at a time.</summary>
/// <remarks>
/// References become the short name a reader would see (<c>T:System.String</c> reads <c>String</c>,
/// <c>P:System.String.Length</c> reads <c>String.Length</c>); code blocks, examples and embedded markdown are left out.
/// </remarks>
public static class XmlDocumentation
{
    /// <summary>Streams the members of one file; memory stays at one member.</summary>
    /// <exception cref="ModelFileException">The file is not well-formed XML.</exception>
    public static IEnumerable<DocumentedMember> Read(string path)
    {
        var settings = new XmlReaderSettings { DtdProcessing = DtdProcessing.Prohibit, XmlResolver = null, IgnoreComments = true };
        using var reader = XmlReader.Create(path, settings);
        while (MoveToMember(reader, path) is { } member)
        {
            if (member.Attribute("name")?.Value is { Length: > 0 } id) yield return new DocumentedMember(id, Paragraphs(member));
        }
    }

    /// <summary>The name a reader would use: type, or type and member, without namespace, arity and parameter list.</summary>
    /// <example><c>M:System.Collections.Generic.List`1.Add(`0)</c> gives <c>List.Add</c>.</example>
    public static string ShortName(string id)
    {
        var kind = id.Length > 1 && id[1] == ':' ? id[0] : '!';
        var path = kind == '!' && !(id.Length > 1 && id[1] == ':') ? id : id[2..];
        var end = path.IndexOf('(');
        if (end >= 0) path = path[..end];
        if (kind == 'N') return path;
        var parts = StripGenerics(path).Split('.', StringSplitOptions.RemoveEmptyEntries);
        if (parts.Length == 0) return "";
        var last = MemberName(parts[^1]);
        if (kind is 'T' or '!' || parts.Length == 1) return last;
        var type = MemberName(parts[^2]);
        return last is "#ctor" or "#cctor" ? type : $"{type}.{last}";
    }

    /// <summary>The identifier of the type that declares a member; a type's own identifier without its prefix.</summary>
    public static string DeclaringType(string id)
    {
        var path = id.Length > 1 && id[1] == ':' ? id[2..] : id;
        var end = path.IndexOf('(');
        if (end >= 0) path = path[..end];
        if (id.StartsWith("T:", StringComparison.Ordinal)) return path;
        var dot = path.LastIndexOf('.');
        return dot < 0 ? path : path[..dot];
    }

    static XElement? MoveToMember(XmlReader reader, string path)
    {
        try
        {
            while (!reader.EOF)
            {
                if (reader.NodeType == XmlNodeType.Element && reader.LocalName == "member") return (XElement)XNode.ReadFrom(reader);
                reader.Read();
            }
            return null;
        }
        catch (XmlException e)
        {
            throw new ModelFileException(path, $"not well-formed XML: {e.Message}", "Repair or reinstall the .NET SDK.", e);
        }
    }

    static List<DocumentedParagraph> Paragraphs(XElement member)
    {
        var paragraphs = new List<DocumentedParagraph>();
        foreach (var section in member.Elements())
        {
            var label = section.Name.LocalName switch
            {
                "summary" or "remarks" or "value" => "",
                "returns" => "Returns",
                "param" or "typeparam" => section.Attribute("name")?.Value,
                "exception" => ShortName(section.Attribute("cref")?.Value ?? ""),
                _ => null,
            };
            if (label is null) continue;
            foreach (var text in new InlineText().Render(section)) paragraphs.Add(new DocumentedParagraph(label, text));
        }
        return paragraphs;
    }

    static string StripGenerics(string path)
    {
        var result = new StringBuilder(path.Length);
        var depth = 0;
        for (var i = 0; i < path.Length; i++)
        {
            var c = path[i];
            if (c == '{') depth++;
            else if (c == '}') depth--;
            else if (c == '`')
            {
                while (i + 1 < path.Length && (char.IsAsciiDigit(path[i + 1]) || path[i + 1] == '`')) i++;
            }
            else if (depth == 0) result.Append(c);
        }
        return result.ToString();
    }

    static string MemberName(string part)
    {
        if (part is "#ctor" or "#cctor") return part;
        // Explicit implementations read System#Collections#ICollection#CopyTo: interface and member are what matters.
        var pieces = part.Split('#', StringSplitOptions.RemoveEmptyEntries);
        var name = pieces.Length > 1 ? $"{pieces[^2]}.{pieces[^1]}" : part;
        return name.StartsWith("op_", StringComparison.Ordinal) ? name[3..] : name;
    }

    /// <summary>Renders one section's markup to paragraphs.</summary>
    sealed class InlineText
    {
        readonly List<string> paragraphs = [];
        readonly StringBuilder current = new();

        public List<string> Render(XElement section)
        {
            foreach (var node in section.Nodes()) Append(node);
            Break();
            return paragraphs;
        }

        void Append(XNode node)
        {
            if (node is XText text) current.Append(text.Value);
            else if (node is XElement element) Append(element);
        }

        void Append(XElement element)
        {
            switch (element.Name.LocalName)
            {
                case "code" or "example" or "examples" or "format" or "content" or "script" or "devremarks" or "table"
                    or "forInternalUseOnly":
                    Break();
                    break;
                case "see" or "seealso" or "xref":
                    AppendReference(element);
                    break;
                case "paramref" or "typeparamref":
                    current.Append(element.Attribute("name")?.Value);
                    break;
                case "para" or "p" or "br" or "list" or "item" or "listheader" or "description" or "term" or "ul" or "li" or "div":
                    Break();
                    foreach (var node in element.Nodes()) Append(node);
                    Break();
                    break;
                default:
                    foreach (var node in element.Nodes()) Append(node);
                    break;
            }
        }

        void AppendReference(XElement element)
        {
            if (element.Nodes().Any())
            {
                foreach (var node in element.Nodes()) Append(node);
                return;
            }
            var id = element.Attribute("cref")?.Value ?? element.Attribute("uid")?.Value;
            current.Append(id is null ? element.Attribute("langword")?.Value : ShortName(id));
        }

        void Break()
        {
            // A blank line inside running text also ends a paragraph: older files have no <para>.
            foreach (var piece in current.ToString().Split("\n\n"))
            {
                if (!string.IsNullOrWhiteSpace(piece)) paragraphs.Add(piece);
            }
            current.Clear();
        }
    }
}
