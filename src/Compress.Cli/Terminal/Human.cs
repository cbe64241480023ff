using System.Globalization;

namespace Compress.Cli.Terminal;

/// <summary>Quantities as people read them.</summary>
internal static class Human
{
    /// <summary><c>9.21 MB</c>: powers of 1000, three digits.</summary>
    public static string Bytes(double bytes)
    {
        string[] units = ["B", "kB", "MB", "GB", "TB", "PB"];
        var unit = 0;
        while (bytes >= 999.5 && unit < units.Length - 1) (bytes, unit) = (bytes / 1000, unit + 1);
        return unit == 0 ? string.Create(CultureInfo.InvariantCulture, $"{bytes:0} B") : $"{Digits(bytes)} {units[unit]}";
    }

    /// <summary><c>3.40 TFLOP</c>: arithmetic in powers of 1000.</summary>
    public static string Operations(double operations) => operations < 999.5e9
        ? $"{Digits(operations / 1e9)} GFLOP"
        : operations < 999.5e12 ? $"{Digits(operations / 1e12)} TFLOP" : $"{Digits(operations / 1e15)} PFLOP";

    /// <summary><c>4.2 s</c>, <c>3:07</c>, <c>2:03:07</c>.</summary>
    public static string Duration(TimeSpan time) => time switch
    {
        { TotalSeconds: < 0.0995 } => string.Create(CultureInfo.InvariantCulture, $"{time.TotalMilliseconds:0} ms"),
        { TotalSeconds: < 59.95 } => string.Create(CultureInfo.InvariantCulture, $"{time.TotalSeconds:0.0} s"),
        _ => Clock(TimeSpan.FromSeconds(Math.Round(time.TotalSeconds))),
    };

    /// <summary>Tokens per second: <c>8.31</c>, <c>3,039</c>.</summary>
    public static string Rate(double tokens) => tokens < 99.95 ? Fixed(tokens, 2) : Count((long)Math.Round(tokens));

    /// <summary>A count with thousands separated: <c>1,234,567</c>.</summary>
    public static string Count(long count) => count.ToString("N0", CultureInfo.InvariantCulture);

    /// <summary>A value with a fixed number of decimals.</summary>
    public static string Fixed(double value, int decimals) =>
        value.ToString("F" + decimals.ToString(CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);

    /// <summary>A value with a fixed number of decimals; nothing where it is absent.</summary>
    public static string Optional(double? value, int decimals) => value is { } v ? Fixed(v, decimals) : "";

    /// <summary>A share as a percentage with one decimal.</summary>
    public static string Percent(double share) => string.Create(CultureInfo.InvariantCulture, $"{100 * share:0.0} %");

    private static string Clock(TimeSpan time) => time.TotalHours < 1
        ? time.ToString(@"m\:ss", CultureInfo.InvariantCulture)
        : string.Create(CultureInfo.InvariantCulture, $"{(int)time.TotalHours}:{time.Minutes:00}:{time.Seconds:00}");

    private static string Digits(double value) =>
        value.ToString(value < 9.995 ? "0.00" : value < 99.95 ? "0.0" : "0", CultureInfo.InvariantCulture);
}
