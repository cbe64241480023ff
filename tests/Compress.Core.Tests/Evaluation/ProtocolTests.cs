using System.Security.Cryptography;
using System.Text;
using Compress.Core.Evaluation;

namespace Compress.Core.Tests.Evaluation;

public class ProtocolTests
{
    private static readonly ByteTokenizer WithBos = new(addsBos: true);
    private static readonly ByteTokenizer WithoutBos = new(addsBos: false);

    [Fact]
    public void Gptq_joins_by_an_empty_line_and_puts_bos_at_the_start_only()
    {
        var protocol = EvaluationProtocol.Find("gptq");
        var stream = protocol.Read(["abc\n", "", "de"], WithBos, "rows");
        Assert.Equal([256, .. Bytes("abc\n\n\n\n\nde")], stream.Ids.ToArray());
        Assert.Equal(256, stream.LeadingBos);

        var windows = protocol.Cut(stream, 4);
        Assert.Equal(2, windows.Count);
        Assert.Equal([256, .. Bytes("abc")], windows[0].Ids.ToArray());
        Assert.Equal(Bytes("\n\n\n\n"), windows[1].Ids.ToArray());
        Assert.All(windows, w => Assert.Equal((1, 3), (w.FirstTarget, w.Targets)));
        Assert.Equal(4, protocol.Stride(4));
    }

    [Fact]
    public void Gptq_drops_the_tokens_that_fill_no_window()
    {
        var protocol = EvaluationProtocol.Find("gptq");
        var stream = protocol.Read(["0123456789abc"], WithoutBos, "text");
        Assert.Null(stream.LeadingBos);
        Assert.Equal(3, protocol.Cut(stream, 4).Count);
        Assert.Equal(2, protocol.Cut(stream, 4, maxWindows: 2).Count);
    }

    [Fact]
    public void Gptq_without_bos_has_no_special_token()
    {
        var protocol = EvaluationProtocol.Find("gptq_no_bos");
        var stream = protocol.Read(["0123456789"], WithBos, "text");
        Assert.Equal(Bytes("0123456789"), stream.Ids.ToArray());
        Assert.Null(stream.LeadingBos);
    }

    [Fact]
    public void Llama_cpp_scores_positions_from_the_middle_and_overwrites_the_first_token()
    {
        var protocol = EvaluationProtocol.Find("llama_cpp");
        var stream = protocol.Read([new string('x', 24)], WithBos, "text");
        Assert.Equal(25, stream.Ids.Length);

        var windows = protocol.Cut(stream, 8);
        Assert.Equal(3, windows.Count);
        Assert.All(windows, w => Assert.Equal([256, .. Bytes("xxxxxxx")], w.Ids.ToArray()));
        // Positions 4, 5 and 6 of 0 … 7 predict tokens 5, 6 and 7.
        Assert.All(windows, w => Assert.Equal((5, 3), (w.FirstTarget, w.Targets)));
        // The stream itself keeps its tokens.
        Assert.Equal('x', stream.Ids.Span[8]);
    }

    [Theory]
    [InlineData("llama_cpp", false)]
    [InlineData("llama_cpp_no_bos", true)]
    public void Llama_cpp_overwrites_nothing_where_no_bos_is_wanted(string name, bool tokenizerAddsBos)
    {
        var protocol = EvaluationProtocol.Find(name);
        var stream = protocol.Read(["abcdefgh"], tokenizerAddsBos ? WithBos : WithoutBos, "text");
        var window = Assert.Single(protocol.Cut(stream, 8));
        Assert.Equal(Bytes("abcdefgh"), window.Ids.ToArray());
    }

    [Fact]
    public void Llama_cpp_scores_255_of_512_tokens()
    {
        var protocol = EvaluationProtocol.Find("llama_cpp");
        Assert.Equal(512, protocol.DefaultWindow(4096));
        var stream = protocol.Read([new string('y', 512)], WithoutBos, "text");
        Assert.Equal(255, Assert.Single(protocol.Cut(stream, 512)).Targets);
    }

    [Fact]
    public void Llama_cpp_gives_a_raw_file_back_from_its_rows()
    {
        var raw = " \n = Title = \n \n Text of the row . \n";
        var rows = raw.Split('\n')[..^1].Select(r => r + "\n");
        var stream = EvaluationProtocol.Find("llama_cpp").Read(rows, WithoutBos, "rows");
        Assert.Equal(Bytes(raw), stream.Ids.ToArray());
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(raw))), stream.Sha256);
    }

    [Fact]
    public void Documents_are_scored_one_by_one_and_cut_off_at_the_window()
    {
        var protocol = EvaluationProtocol.Find("documents");
        var stream = protocol.Read(["ab", "", "cdefgh"], WithBos, "stories");
        var windows = protocol.Cut(stream, 5);
        Assert.Equal(2, windows.Count);
        Assert.Equal([256, .. Bytes("ab")], windows[0].Ids.ToArray());
        Assert.Equal([256, .. Bytes("cdef")], windows[1].Ids.ToArray());
        Assert.Equal(2 + 4, windows.Sum(w => w.Targets));
        Assert.Null(protocol.Stride(5));
    }

    [Theory]
    [InlineData("gptq", 2048)]
    [InlineData("llama_cpp", 512)]
    [InlineData("documents", 2048)]
    public void Default_windows_never_exceed_the_model(string name, int forLongContexts)
    {
        var protocol = EvaluationProtocol.Find(name);
        Assert.Equal(forLongContexts, protocol.DefaultWindow(131072));
        Assert.Equal(256, protocol.DefaultWindow(256));
    }

    [Fact]
    public void Scored_bytes_are_those_of_the_scored_tokens()
    {
        var stream = new TokenizedText(Bytes("aé€𝄞z"), "text", "", WithBos);
        // a | é é | € € € | 𝄞 𝄞 𝄞 𝄞 | z
        Assert.Equal(10, stream.ScoredBytes(new ScoredWindow(stream.Ids, FirstTarget: 1)));
        // Split inside é: the character belongs to the token that completes it.
        Assert.Equal(10, stream.ScoredBytes(new ScoredWindow(stream.Ids, FirstTarget: 2)));
        Assert.Equal(8, stream.ScoredBytes(new ScoredWindow(stream.Ids, FirstTarget: 3)));
        // A window that ends inside 𝄞 does not count it; the one that begins there does not either.
        Assert.Equal(5, stream.ScoredBytes(new ScoredWindow(stream.Ids[..8], FirstTarget: 1)));
    }

    [Fact]
    public void Bytes_of_special_tokens_do_not_count()
    {
        var stream = EvaluationProtocol.Find("gptq").Read(["abcdefg"], WithBos, "text");
        Assert.Equal(7, stream.ScoredBytes(new ScoredWindow(stream.Ids, FirstTarget: 1)));
    }

    [Fact]
    public void Unknown_protocols_and_texts_too_short_are_refused_with_a_remedy()
    {
        var unknown = Assert.Throws<EvaluationException>(() => EvaluationProtocol.Find("wikitext"));
        Assert.Contains("llama_cpp", unknown.Message, StringComparison.Ordinal);
        var protocol = EvaluationProtocol.Find("gptq");
        var stream = protocol.Read(["short"], WithBos, "a.txt");
        var tooShort = Assert.Throws<EvaluationException>(() => protocol.Cut(stream, 100));
        Assert.Contains("a.txt has 6 tokens", tooShort.Message, StringComparison.Ordinal);
        Assert.Throws<EvaluationException>(() => protocol.Cut(stream, 1));
    }

    private static int[] Bytes(string text) => [.. Encoding.UTF8.GetBytes(text).Select(b => (int)b)];
}
