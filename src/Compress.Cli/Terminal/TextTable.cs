namespace Compress.Cli.Terminal;

/// <summary>A table of plain text: aligned columns, a rule under the header, no escape codes, so that it can be piped.</summary>
internal sealed class TextTable
{
    private readonly IReadOnlyList<(string Title, bool Right)> columns;
    private readonly List<IReadOnlyList<string>> rows = [];

    /// <summary>Begins a table.</summary>
    /// <param name="columns">Titles; a title that begins with <c>&gt;</c> aligns its column right.</param>
    public TextTable(params IReadOnlyList<string> columns) =>
        this.columns = [.. columns.Select(c => c.StartsWith('>') ? (c[1..], true) : (c, false))];

    /// <summary>Adds a row; missing cells at its end are empty.</summary>
    public void Add(params IReadOnlyList<string> cells) => rows.Add(cells);

    /// <summary>Writes the table.</summary>
    public void Write(TextWriter writer)
    {
        var widths = columns.Select((c, i) => rows.Select(r => Cell(r, i).Length).Append(c.Title.Length).Max()).ToArray();
        if (columns.Any(c => c.Title.Length > 0))
        {
            writer.WriteLine(Line(columns.Select(c => c.Title), widths));
            writer.WriteLine(Line(widths.Select(w => new string('-', w)), widths));
        }
        foreach (var row in rows) writer.WriteLine(Line(columns.Select((_, i) => Cell(row, i)), widths));
    }

    private static string Cell(IReadOnlyList<string> row, int column) => column < row.Count ? row[column] : "";

    private string Line(IEnumerable<string> cells, int[] widths) =>
        string.Join("  ", cells.Select((c, i) => columns[i].Right ? c.PadLeft(widths[i]) : c.PadRight(widths[i]))).TrimEnd();
}
