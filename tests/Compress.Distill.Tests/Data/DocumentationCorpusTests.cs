using System.Security.Cryptography;
using System.Text;
using Compress.Distill.Data;
using Compress.Formats;
using Compress.Testing;

namespace Compress.Distill.Tests.Data;

public sealed class DocumentationCorpusTests
{
    static readonly Lazy<Corpus> Installed = new(() => DocumentationCorpus.Build(TargetingPacks.Find()));

    [Fact]
    public void Members_of_a_type_share_a_document_and_repeated_lines_go()
    {
        var corpus = DocumentationCorpus.Build(
        [
            Member("T:N.First", ("", "Represents the first type.")),
            Member("M:N.First.Go(System.Int32)", ("", "Goes to a place."), ("place", "The place to go."), ("Returns", "Nothing of value here.")),
            Member("M:N.First.Gone", ("", "Goes to a place.")),
            Member("T:N.Second", ("", "Represents the second type."), ("place", "The place to go."), ("", "VPABSW ymm1, ymm2")),
        ]);
        Assert.Equal(
        [
            "First\nRepresents the first type.\n\nFirst.Go\nGoes to a place.\nplace: The place to go.\nReturns: Nothing of value here.\n",
            "Second\nRepresents the second type.\n",
        ], corpus.Documents);
        Assert.Equal((5, 2, 1), (corpus.Lines, corpus.Repeated, corpus.Rejected));
    }

    [Fact]
    public void Installed_packs_give_megabytes_of_distinct_english()
    {
        var corpus = Installed.Value;
        Assert.InRange(corpus.Characters, 8_000_000, 20_000_000);
        Assert.All(corpus.Documents, document => Assert.All(document, c => Assert.True(c is '\n' or (>= ' ' and <= '~'))));
        Assert.True(corpus.Documents.SelectMany(d => d.Split('\n')).Count(l => l.Contains("e ", StringComparison.Ordinal)) > 50_000);
    }

    [Fact]
    public void The_corpus_is_the_same_bytes_twice()
    {
        var again = DocumentationCorpus.Build(TargetingPacks.Find());
        Assert.Equal(Hash(Installed.Value), Hash(again));
    }

    [Fact]
    public void A_folder_without_packs_is_refused_with_the_remedy()
    {
        var e = Assert.Throws<ModelFileException>(() => TargetingPacks.Find(Path.GetTempPath()));
        Assert.Contains("SDK", e.Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public void No_line_of_the_held_out_text_was_trained_on()
    {
        var heldOut = HeldOut();
        var trained = Installed.Value.Documents.SelectMany(d => d.Split('\n')).ToHashSet(StringComparer.Ordinal);
        var bodies = trained.Select(Body).ToHashSet(StringComparer.Ordinal);
        Assert.DoesNotContain(heldOut, line => line.Length > 0 && (trained.Contains(line) || bodies.Contains(Body(line))));
    }

    [Fact]
    public void No_fourteen_words_of_the_held_out_text_were_trained_on_in_a_row()
    {
        const int Run = 14;
        var runs = HeldOut().SelectMany(line => Runs(line, Run)).ToHashSet(StringComparer.Ordinal);
        var trained = Installed.Value.Documents.SelectMany(d => d.Split('\n')).SelectMany(line => Runs(line, Run));
        Assert.DoesNotContain(trained, runs.Contains);
    }

    [Fact]
    public void The_held_out_text_is_long_enough_and_laid_out_like_the_corpus()
    {
        var path = Path.Combine(SharedData.Repository, "data", "heldout.txt");
        var lines = HeldOut();
        Assert.True(new FileInfo(path).Length >= 50 * 1024);
        Assert.All(lines, line => Assert.True(!line.Contains(' ', StringComparison.Ordinal) || TextCleaner.Clean(line) == line, line));
        var sentences = lines.Where(l => l.Contains(' ', StringComparison.Ordinal)).ToList();
        Assert.Equal(sentences.Distinct().Count(), sentences.Count);
    }

    static string[] HeldOut() => File.ReadAllLines(Path.Combine(SharedData.Repository, "data", "heldout.txt"));

    static IEnumerable<string> Runs(string line, int words)
    {
        var ends = line.Select((c, i) => (c, i)).Where(p => p.c == ' ').Select(p => p.i).Append(line.Length).ToArray();
        for (var last = words - 1; last < ends.Length; last++)
        {
            var begin = last == words - 1 ? 0 : ends[last - words] + 1;
            yield return line[begin..ends[last]];
        }
    }

    /// <summary>A line without its label: the same sentence under another parameter name is still the same sentence.</summary>
    static string Body(string line)
    {
        var colon = line.IndexOf(": ", StringComparison.Ordinal);
        return colon < 0 || line.AsSpan(0, colon).Contains(' ') ? line : line[(colon + 2)..];
    }

    static DocumentedMember Member(string id, params (string Label, string Text)[] paragraphs) =>
        new(id, [.. paragraphs.Select(p => new DocumentedParagraph(p.Label, p.Text))]);

    static string Hash(Corpus corpus) => Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(string.Join('\f', corpus.Documents))));
}
