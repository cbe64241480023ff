using Compress.Distill.Data;
using Compress.Formats;

namespace Compress.Distill.Tests.Data;

public sealed class XmlDocumentationTests : IDisposable
{
    readonly string file = Path.GetTempFileName();

    public void Dispose() => File.Delete(file);

    [Theory]
    [InlineData("T:System.String", "String")]
    [InlineData("T:System.Collections.Generic.Dictionary`2", "Dictionary")]
    [InlineData("T:System.Collections.Generic.List{System.Int32}", "List")]
    [InlineData("M:System.Collections.Generic.List`1.Add(`0)", "List.Add")]
    [InlineData("M:System.Collections.BitArray.#ctor(System.Int32,System.Boolean)", "BitArray")]
    [InlineData("P:System.String.Length", "String.Length")]
    [InlineData("F:System.Int32.MaxValue", "Int32.MaxValue")]
    [InlineData("M:System.Numerics.BigInteger.op_Addition(System.Numerics.BigInteger,System.Numerics.BigInteger)", "BigInteger.Addition")]
    [InlineData("M:System.Collections.BitArray.System#Collections#ICollection#CopyTo(System.Array,System.Int32)", "BitArray.ICollection.CopyTo")]
    [InlineData("M:System.Linq.Enumerable.Cast``1(System.Collections.IEnumerable)", "Enumerable.Cast")]
    [InlineData("N:System.Text.Json", "System.Text.Json")]
    [InlineData("!:Missing", "Missing")]
    [InlineData("String", "String")]
    [InlineData("", "")]
    public void Short_names_drop_namespace_arity_and_parameters(string id, string expected) =>
        Assert.Equal(expected, XmlDocumentation.ShortName(id));

    [Theory]
    [InlineData("T:System.String", "System.String")]
    [InlineData("M:System.String.Trim(System.Char)", "System.String")]
    [InlineData("M:System.Collections.BitArray.System#Collections#ICollection#CopyTo(System.Array)", "System.Collections.BitArray")]
    public void Members_belong_to_their_type(string id, string expected) =>
        Assert.Equal(expected, XmlDocumentation.DeclaringType(id));

    [Fact]
    public void Markup_reads_as_a_reader_would_see_it()
    {
        var member = Read("""
            <summary>Copies <paramref name="count" /> of <see cref="T:System.Byte" />s; see <see cref="M:System.Buffer.BlockCopy(System.Array)">the
            copy</see>, <c>memmove</c> and <see langword="null" />.</summary>
            """);
        Assert.Equal(
            ["Copies count of Bytes; see the copy, memmove and null."],
            member.Paragraphs.Select(p => TextCleaner.Clean(p.Text)));
    }

    [Fact]
    public void Sections_carry_their_labels()
    {
        var member = Read("""
            <summary>Does it.</summary><param name="value">The value.</param><typeparam name="T">The type.</typeparam>
            <returns>The result.</returns><exception cref="T:System.ArgumentNullException"><paramref name="value"/> is null.</exception>
            <value>A number.</value><inheritdoc/>
            """);
        Assert.Equal(["", "value", "T", "Returns", "ArgumentNullException", ""], member.Paragraphs.Select(p => p.Label));
    }

    [Fact]
    public void Code_and_examples_are_left_out_and_paragraphs_split()
    {
        var member = Read("""
            <remarks><para>First.</para>Loose text<code>var x = 1;</code>after code.<list><item><term>Term</term><description>Meaning</description>
            </item></list><example>Never.</example></remarks>
            """);
        Assert.Equal(["First.", "Loose text", "after code.", "Term", "Meaning"], member.Paragraphs.Select(p => p.Text.Trim()));
    }

    [Fact]
    public void Broken_xml_is_refused_with_the_file()
    {
        File.WriteAllText(file, "<doc><members><member name='T:A'><summary>text</member></doc>");
        var e = Assert.Throws<ModelFileException>(() => XmlDocumentation.Read(file).ToList());
        Assert.Equal(file, e.File);
    }

    [Fact]
    public void External_entities_are_refused()
    {
        File.WriteAllText(file, "<!DOCTYPE doc [<!ENTITY x SYSTEM 'file:///etc/hostname'>]><doc><member name='T:A'><summary>&x;</summary></member></doc>");
        Assert.Throws<ModelFileException>(() => XmlDocumentation.Read(file).ToList());
    }

    DocumentedMember Read(string body)
    {
        File.WriteAllText(file, $"<doc><assembly><name>A</name></assembly><members><member name=\"M:N.Type.Method\">{body}</member></members></doc>");
        return Assert.Single(XmlDocumentation.Read(file));
    }
}
