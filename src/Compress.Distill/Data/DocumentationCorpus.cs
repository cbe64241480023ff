using System.Text;

namespace Compress.Distill.Data;

/// <summary>Training text: documents of English prose, each about one type.</summary>
/// <param name="Documents">
/// Documents in a fixed order. A document is its members' sections, separated by one empty line; a section is a line with
/// the member's short name, then one line a paragraph.
/// </param>
/// <param name="Characters">Characters in all documents.</param>
/// <param name="Lines">Distinct paragraphs kept, name lines not counted.</param>
/// <param name="Repeated">Paragraphs dropped because an equal one came before.</param>
/// <param name="Rejected">Paragraphs dropped because they are not English prose.</param>
public sealed record Corpus(IReadOnlyList<string> Documents, long Characters, int Lines, int Repeated, int Rejected);

/// <summary>Builds the corpus of the embedded model from the reference documentation inside the .NET SDK's targeting packs.</summary>
/// <remarks>
/// Every machine that can build this project has this text. Equal packs give an equal corpus, byte for byte: files in
/// ordinal order, members in file order, and of equal paragraphs the first stays.
/// </remarks>
public static class DocumentationCorpus
{
    /// <summary>Reads all documentation files of the packs, keeping distinct paragraphs of English.</summary>
    /// <exception cref="Formats.ModelFileException">A file is not well-formed XML.</exception>
    public static Corpus Build(IReadOnlyList<TargetingPack> packs) =>
        Build(packs.SelectMany(pack => pack.Files).SelectMany(XmlDocumentation.Read));

    /// <summary>As <see cref="Build(IReadOnlyList{TargetingPack})"/>, from members already read.</summary>
    public static Corpus Build(IEnumerable<DocumentedMember> members)
    {
        var builder = new Builder();
        foreach (var member in members) builder.Add(member);
        return builder.Finish();
    }

    sealed class Builder
    {
        readonly List<string> documents = [];
        readonly HashSet<string> seen = new(StringComparer.Ordinal);
        readonly StringBuilder document = new();
        string type = "";
        long characters;
        int lines, repeated, rejected;

        public void Add(DocumentedMember member)
        {
            var declaring = XmlDocumentation.DeclaringType(member.Id);
            if (declaring != type) EndDocument();
            type = declaring;
            var named = false;
            foreach (var paragraph in member.Paragraphs)
            {
                if (Line(paragraph) is not { } line) continue;
                if (!named)
                {
                    if (document.Length > 0) document.Append('\n');
                    document.Append(XmlDocumentation.ShortName(member.Id)).Append('\n');
                }
                named = true;
                document.Append(line).Append('\n');
            }
        }

        public Corpus Finish()
        {
            EndDocument();
            return new Corpus(documents, characters, lines, repeated, rejected);
        }

        string? Line(DocumentedParagraph paragraph)
        {
            if (TextCleaner.Clean(paragraph.Text) is not { } text)
            {
                rejected++;
                return null;
            }
            var line = paragraph.Label.Length == 0 ? text : $"{paragraph.Label}: {text}";
            if (!seen.Add(line))
            {
                repeated++;
                return null;
            }
            lines++;
            return line;
        }

        void EndDocument()
        {
            if (document.Length == 0) return;
            documents.Add(document.ToString());
            characters += document.Length;
            document.Clear();
        }
    }
}
