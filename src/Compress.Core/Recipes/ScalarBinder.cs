using System.Globalization;
using System.Reflection;
using Compress.Core.Recipes.Yaml;

namespace Compress.Core.Recipes;

/// <summary>Binds single values: texts, numbers, booleans, enums in snake_case and types with a static <c>Parse</c>.</summary>
internal static class ScalarBinder
{
    /// <summary>True for types that a single value can express.</summary>
    public static bool Handles(Type type) =>
        type == typeof(string) || type == typeof(bool) || type == typeof(int) || type == typeof(long) || type == typeof(double)
        || type.IsEnum || Parser(type) is not null;

    /// <summary>Reads a value.</summary>
    /// <returns>The value, or what is wrong and what to write instead.</returns>
    public static (object? Value, string? Problem, string? Suggestion) Bind(Type type, YamlScalar scalar, RecipeKey? key)
    {
        if (type == typeof(string)) return Text(scalar, key);
        if (type.IsEnum) return Enum(type, scalar);
        if (Parser(type) is { } parse) return Parsed(type, parse, scalar);
        if (scalar.Quoted) return Refuse(type, key, scalar, "Remove the quotes.");
        if (type == typeof(bool)) return Bool(scalar);
        object? number = type == typeof(double)
            ? double.TryParse(scalar.Text, NumberStyles.Float, CultureInfo.InvariantCulture, out var d) && double.IsFinite(d) ? d : null
            : long.TryParse(scalar.Text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var l) ? l : null;
        if (number is null) return Refuse(type, key, scalar, null);
        var value = Convert.ToDouble(number, CultureInfo.InvariantCulture);
        if (key?.Bounds is { } b && !(value >= b.Minimum && value <= b.Maximum))
            return (null, $"{scalar.Text} is not {Range(b)}.", null);
        if (type != typeof(int)) return (number, null, null);
        return (long)number is >= int.MinValue and <= int.MaxValue ? ((int)(long)number, null, null) : Refuse(type, key, scalar, null);
    }

    /// <summary>What a value of this type looks like: <c>a whole number between 2 and 8</c>.</summary>
    public static string Expected(Type type, RecipeKey? key)
    {
        var range = key?.Bounds is { } b ? " " + Range(b) : "";
        if (key?.Allowed is { } allowed) return $"one of {string.Join(", ", allowed)}";
        if (type == typeof(int) || type == typeof(long)) return "a whole number" + range;
        if (type == typeof(double)) return "a number" + range;
        if (type == typeof(bool)) return "true or false";
        return type.IsEnum ? $"one of {string.Join(", ", Names(type))}" : "a text";
    }

    /// <summary>Names of an enum's values as recipes write them.</summary>
    public static IReadOnlyList<string> Names(Type type) => [.. System.Enum.GetNames(type).Select(RecordShape.SnakeCase)];

    /// <summary>A value as recipes write it.</summary>
    public static string Write(object value) => value switch
    {
        bool b => b ? "true" : "false",
        double d => d.ToString("R", CultureInfo.InvariantCulture),
        Enum e => RecordShape.SnakeCase(e.ToString()),
        IFormattable f => f.ToString(null, CultureInfo.InvariantCulture),
        _ => value.ToString() ?? "",
    };

    /// <summary>A text cut to a length that fits a message.</summary>
    public static string Shorten(string text) => text.Length <= 60 ? text : text[..57] + "...";

    private static (object?, string?, string?) Text(YamlScalar scalar, RecipeKey? key)
    {
        if (key?.Allowed is { } allowed && !allowed.Contains(scalar.Text))
            return (null, $"'{Shorten(scalar.Text)}' is not a valid value.", NearestName.Suggestion(scalar.Text, [.. allowed], "values"));
        return (scalar.Text, null, null);
    }

    private static (object?, string?, string?) Bool(YamlScalar scalar) => scalar.Text switch
    {
        "true" => (true, null, null),
        "false" => (false, null, null),
        "yes" or "on" or "True" or "TRUE" => (null, $"'{scalar.Text}' is not true or false.", "Write true."),
        "no" or "off" or "False" or "FALSE" => (null, $"'{scalar.Text}' is not true or false.", "Write false."),
        _ => Refuse(typeof(bool), null, scalar, null),
    };

    private static (object?, string?, string?) Enum(Type type, YamlScalar scalar)
    {
        foreach (var name in System.Enum.GetNames(type))
        {
            if (RecordShape.SnakeCase(name) == scalar.Text) return (System.Enum.Parse(type, name), null, null);
        }
        return (null, $"'{Shorten(scalar.Text)}' is not a valid value.", NearestName.Suggestion(scalar.Text, Names(type), "values"));
    }

    private static (object?, string?, string?) Parsed(Type type, MethodInfo parse, YamlScalar scalar)
    {
        try
        {
            object?[] arguments = [scalar.Text, CultureInfo.InvariantCulture];
            return (parse.Invoke(null, BindingFlags.DoNotWrapExceptions, null, arguments, null), null, null);
        }
        catch (Exception e) when (e is FormatException or OverflowException or ArgumentException)
        {
            var name = RecordShape.SnakeCase(type.Name).Replace('_', ' ');
            return (null, $"'{Shorten(scalar.Text)}' is not a {name}: {e.Message.TrimEnd('.')}.", null);
        }
    }

    private static (object?, string?, string?) Refuse(Type type, RecipeKey? key, YamlScalar scalar, string? suggestion) =>
        (null, $"'{Shorten(scalar.Text)}' is not {Expected(type, key)}.", suggestion);

    private static string Range(Methods.BetweenAttribute b) =>
        string.Create(CultureInfo.InvariantCulture, $"between {b.Minimum} and {b.Maximum}");

    private static MethodInfo? Parser(Type type) =>
        !type.IsPrimitive && type.GetInterfaces().Any(i => i.IsGenericType && i.GetGenericTypeDefinition() == typeof(IParsable<>))
            ? type.GetMethod("Parse", BindingFlags.Public | BindingFlags.Static, [typeof(string), typeof(IFormatProvider)])
            : null;
}
