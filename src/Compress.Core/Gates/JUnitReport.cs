using System.Globalization;
using System.Text;
using System.Xml;

namespace Compress.Core.Gates;

/// <summary>Verdicts as a JUnit XML file, which CI systems show as tests.</summary>
public static class JUnitReport
{
    /// <summary>Writes the report in UTF-8.</summary>
    /// <param name="stream">Where it goes.</param>
    /// <param name="subject">What was checked.</param>
    /// <param name="verdicts">The comparisons.</param>
    public static void Write(Stream stream, string subject, IReadOnlyList<GateVerdict> verdicts)
    {
        using var xml = XmlWriter.Create(stream, new XmlWriterSettings { Indent = true, NewLineChars = "\n", Encoding = new UTF8Encoding(false) });
        xml.WriteStartElement("testsuite");
        xml.WriteAttributeString("name", "compress check");
        xml.WriteAttributeString("tests", verdicts.Count.ToString(CultureInfo.InvariantCulture));
        xml.WriteAttributeString("failures", verdicts.Count(v => !v.Passed).ToString(CultureInfo.InvariantCulture));
        foreach (var verdict in verdicts)
        {
            xml.WriteStartElement("testcase");
            xml.WriteAttributeString("classname", Printable(subject));
            xml.WriteAttributeString("name", Printable(verdict.Name));
            if (!verdict.Passed)
            {
                xml.WriteStartElement("failure");
                xml.WriteAttributeString("message", Printable(Sentence(verdict)));
                xml.WriteEndElement();
            }
            xml.WriteEndElement();
        }
        xml.WriteEndElement();
    }

    /// <summary>What became of a number, in one sentence.</summary>
    public static string Sentence(GateVerdict verdict) => verdict.Measured is not { } measured
        ? string.Create(CultureInfo.InvariantCulture, $"{verdict.Name} was {verdict.Baseline:G6} and is not measured any more")
        : string.Create(CultureInfo.InvariantCulture,
            $"{verdict.Name} was {verdict.Baseline:G6}, is {measured:G6}: {Change(verdict)}, allowed {Share(verdict):P2}");

    private static string Change(GateVerdict verdict) => verdict.Change == 0
        ? "the same"
        : string.Create(CultureInfo.InvariantCulture, $"{Math.Abs(verdict.RelativeChange):P2} {(verdict.Change > 0 ? "worse" : "better")}");

    private static double Share(GateVerdict verdict) => verdict.Baseline == 0 ? verdict.Allowed : verdict.Allowed / Math.Abs(verdict.Baseline);

    /// <summary>XML has no place for control characters.</summary>
    private static string Printable(string text) => string.Concat(text.Select(c => char.IsControl(c) ? '?' : c));
}
